export { SharedState, SharedState as default } from "coagent-runtime/react";
