/** What of CopilotKit is used: the context of its provider. That of the real one is seen in tests/browser. */
import { createContext } from "react";

console.log("CopilotKit is loaded");
export const CopilotKitContext = createContext(null);
