import type { AgentCard, Connection } from "./runtime";

const words: Record<Connection, string> = { connecting: "Connecting", connected: "Connected", lost: "Not connected" };

type Props = {
  connection: Connection;
  agents: AgentCard[];
  agent: string | null;
  onAgent: (id: string) => void;
  onNewThread: (() => void) | null;
};

export function Header({ connection, agents, agent, onAgent, onNewThread }: Props) {
  return (
    <header className="header">
      <div className="brand">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="9" />
          <circle cx="12.5" cy="16" r="5.5" />
          <circle cx="19.5" cy="16" r="5.5" />
        </svg>
        <span className="brand-name">CoAgent</span>
      </div>
      <label className="picker">
        <span className="picker-label">Agent</span>
        <select
          data-testid="agent-picker"
          value={agent ?? ""}
          disabled={agents.length === 0}
          onChange={(event) => onAgent(event.target.value)}
        >
          {agents.length === 0 && <option value="">—</option>}
          {agents.map(({ id, description }) => (
            <option key={id} value={id} title={description}>
              {id}
            </option>
          ))}
        </select>
      </label>
      <span className="connection" data-testid="connection" data-state={connection} role="status" title={words[connection]}>
        <i aria-hidden="true" />
        <span className="connection-word">{words[connection]}</span>
      </span>
      <button
        type="button"
        className="button"
        data-testid="new-thread"
        disabled={!onNewThread}
        onClick={() => onNewThread?.()}
      >
        New thread
      </button>
    </header>
  );
}
