/** The agent's shared state, shown as a list a person can edit and as the document it is. Edits reach everybody at once. */
import type { LiveAgentState } from "coagent-runtime/react";
import { useState } from "react";
import { EditableText } from "./EditableText";
import { JsonView } from "./JsonView";
import { listIn, type State, withEntry, withNewEntry, withoutEntry } from "./list";

type Props = { live: LiveAgentState<State>; busy: boolean; highlight: number | null };

export function StatePanel({ live, busy, highlight }: Props) {
  const state = live.state ?? {};
  const { key, entries } = listIn(state);
  const [draft, setDraft] = useState("");

  // Before its first run a thread has no document: what is written then goes with the first message.
  const isShared = live.version > 0;
  const disabled = busy && !isShared;
  const commit = live.setState;
  const add = (event: React.FormEvent) => {
    event.preventDefault();
    if (draft.trim() === "") return;
    commit(withNewEntry(state, key, draft.trim()));
    setDraft("");
  };
  const done = entries.filter((entry) => entry.done).length;
  const title = state["title"];

  return (
    <section className="panel" data-testid="state" data-status={isShared ? live.status : "new"}>
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
          disabled={disabled}
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
              disabled={disabled}
              onChange={(event) => commit(withEntry(state, key, index, { done: event.target.checked }))}
            />
            <EditableText
              label={`Entry ${index + 1}`}
              testId="entry-title"
              value={entry.title}
              disabled={disabled}
              onEdit={(text) => commit(withEntry(state, key, index, { title: text }))}
            />
            <button
              type="button"
              className="icon-button"
              aria-label={`Remove ${entry.title}`}
              data-testid="remove-entry"
              disabled={disabled}
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
          disabled={disabled}
          onChange={(event) => setDraft(event.target.value)}
        />
        <button type="submit" className="button" data-testid="add-entry" disabled={disabled || draft.trim() === ""}>
          Add
        </button>
      </form>
      <p className="hint" data-testid="state-hint">
        {live.error && isShared ? live.error.message : hint(live, busy)}
      </p>
      <JsonView value={state} disabled={disabled} onEdit={commit} />
    </section>
  );
}

function hint({ version, status, pending }: LiveAgentState<State>, busy: boolean): string {
  if (version === 0) return "What you write here goes with your first message.";
  if (status === "offline") return pending > 0 ? "Not connected. Your edits are kept." : "Not connected.";
  return busy ? "The agent is writing. You can, too." : "Edits reach everybody at once.";
}
