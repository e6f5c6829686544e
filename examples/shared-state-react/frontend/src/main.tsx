import "./styles.css";
import { SharedStateProvider } from "coagent-runtime/react";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { serverUrl } from "./example";

const root = document.getElementById("root");
if (!root) throw new Error("index.html has an element with the id root");
createRoot(root).render(
  <StrictMode>
    <SharedStateProvider url={serverUrl}>
      <App />
    </SharedStateProvider>
  </StrictMode>,
);
