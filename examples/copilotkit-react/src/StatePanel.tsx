/** The agent's shared state, shown as a list a person can edit and as the document it is. Edits travel with the next message. */
import type { AbstractAgent } from "@copilotkit/react-core/v2";
import { useEffect, useState } from "react";
import { EditableText } from "./EditableText";
import { JsonView } from "./JsonView";
import { listIn, type State, withEntry, withNewEntry, withoutEntry } from "./list";

type Props = { agent: AbstractAgent; highlight: number | null };

export function StatePanel({ agent, highlight }: Props) {
  const state = (agent.state ?? {}) as State;
  const { key, entries } = listIn(state);
  const busy = agent.isRunning;
  const [edited, setEdited] = useState(false);
  const [draft, setDraft] = useState("");

  useEffect(() => {
    const subscription = agent.subscribe({ onRunStartedEvent: () => setEdited(false) });
    return () => subscription.unsubscribe();
  }, [agent]);

  const commit = (next: State) => {
    agent.setState(next);
    setEdited(true);
  };
  const add = (event: React.FormEvent) => {
    event.preventDefault();
    if (draft.trim() === "") return;
    commit(withNewEntry(state, key, draft.trim()));
    setDraft("");
  };
  const done = entries.filter((entry) => entry.done).length;
  const title = state["title"];

  return (
    <section className="panel" data-testid="state" data-edited={edited}>
      <header className="panel-head">
        <h2>Shared state</h2>
        <span className="chip" data-testid="state-count">
          {entries.length === 0 ? "empty list" : `${done} of ${entries.length} done`}
        </span>
      </header>
      {typeof title === "string" && (
        <EditableText
          className="state-title"
          label="Title"
          testId="state-title"
          value={title}
          disabled={busy}
          onEdit={(text) => commit({ ...state, title: text })}
        />
      )}
      <ul className="entries">
        {entries.map((entry, index) => (
          <li key={index} data-testid="entry" data-highlight={highlight === index} data-done={entry.done}>
            <input
              type="checkbox"
              aria-label={`Done: ${entry.title}`}
              checked={entry.done}
              disabled={busy}
              onChange={(event) => commit(withEntry(state, key, index, { done: event.target.checked }))}
            />
            <EditableText
              label={`Entry ${index + 1}`}
              testId="entry-title"
              value={entry.title}
              disabled={busy}
              onEdit={(text) => commit(withEntry(state, key, index, { title: text }))}
            />
            <button
              type="button"
              className="icon-button"
              aria-label={`Remove ${entry.title}`}
              data-testid="remove-entry"
              disabled={busy}
              onClick={() => commit(withoutEntry(state, key, index))}
            >
              ×
            </button>
          </li>
        ))}
      </ul>
      <form className="add" onSubmit={add}>
        <input
          type="text"
          aria-label="New entry"
          placeholder="Add an entry"
          data-testid="new-entry"
          value={draft}
          disabled={busy}
          onChange={(event) => setDraft(event.target.value)}
        />
        <button type="submit" className="button" data-testid="add-entry" disabled={busy || draft.trim() === ""}>
          Add
        </button>
      </form>
      <p className="hint" data-testid="state-hint">
        {busy ? "The agent is writing." : edited ? "Your edits go with your next message." : "Edits are shared with the agent."}
      </p>
      <JsonView value={state} disabled={busy} onEdit={commit} />
    </section>
  );
}
