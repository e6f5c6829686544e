import { useState } from "react";
import { EMPTY, type Example, stateId } from "../example";
import useSharedState from "../hooks/useSharedState";

export function ExamplePage() {
  const { state, updateState, connected, error, conflicts } = useSharedState<Example>({
    stateType: "shared",
    stateId,
    initialState: EMPTY,
  });
  const [draft, setDraft] = useState("");

  const add = (event: React.FormEvent) => {
    event.preventDefault();
    if (draft.trim() === "") return;
    updateState({ ...state, messages: [...state.messages, draft.trim()] });
    setDraft("");
  };
  const remove = (index: number) => updateState({ ...state, messages: state.messages.filter((_, at) => at !== index) });

  return (
    <section className="card" aria-label="Shared state" data-connected={connected} data-testid="example">
      <div className="counter">
        <h1>Count</h1>
        <div className="stepper">
          <button type="button" aria-label="Less" data-testid="less" onClick={() => updateState({ ...state, count: state.count - 1 })}>
            −
          </button>
          <output data-testid="count">{state.count}</output>
          <button type="button" aria-label="More" data-testid="more" onClick={() => updateState({ ...state, count: state.count + 1 })}>
            +
          </button>
        </div>
      </div>
      <h2>Messages</h2>
      {state.messages.length === 0 ? (
        <p className="quiet empty">Nothing yet. Open this page in a second tab and write in either one.</p>
      ) : (
        <ol className="messages" data-testid="messages">
          {state.messages.map((message, index) => (
            <li key={index} data-testid="message">
              <span>{message}</span>
              <button type="button" className="icon" aria-label={`Remove ${message}`} onClick={() => remove(index)}>
                ×
              </button>
            </li>
          ))}
        </ol>
      )}
      <form className="add" onSubmit={add}>
        <input type="text" aria-label="Message" placeholder="Write a message" data-testid="draft" value={draft} onChange={(event) => setDraft(event.target.value)} />
        <button type="submit" className="button primary" data-testid="add" disabled={draft.trim() === ""}>
          Add
        </button>
      </form>
      {error && (
        <p className="notice bad" role="alert" data-testid="error">
          {error.message}
        </p>
      )}
      {conflicts.length > 0 && (
        <p className="notice" data-testid="conflicts">
          Your last edits wrote over what others had written at {[...new Set(conflicts.map(({ path }) => path))].join(", ")}. Their values are in the history.
        </p>
      )}
    </section>
  );
}
