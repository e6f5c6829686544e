import { ConnectionStatus } from "coagent-runtime/react";
import { stateId } from "./example";
import { OfflineSwitch } from "./components/OfflineSwitch";
import { People } from "./components/People";
import { TimeTravel } from "./components/TimeTravel";
import { ExamplePage } from "./pages/ExamplePage";

export function App() {
  return (
    <div className="page">
      <header className="header">
        <span className="brand">
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <rect width="32" height="32" rx="9" />
            <circle cx="12.5" cy="16" r="5.5" />
            <circle cx="19.5" cy="16" r="5.5" />
          </svg>
          <span>CoAgent</span>
        </span>
        <code className="doc">shared/{stateId}</code>
        <ConnectionStatus className="status" />
        <OfflineSwitch />
      </header>
      <main className="columns">
        <ExamplePage />
        <aside className="side">
          <People />
          <TimeTravel />
        </aside>
      </main>
    </div>
  );
}
