import "@copilotkit/react-core/v2/styles.css";
import "./styles.css";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { followColorScheme } from "./theme";

followColorScheme();
const root = document.getElementById("root");
if (!root) throw new Error("index.html has an element with the id root");
createRoot(root).render(<App />);
