import { useState } from "react";
import type { State } from "./list";

type Props = { value: State; disabled: boolean; onEdit: (state: State) => void };

/** The whole document as JSON; editing it is explicit, because half-typed JSON is not a state. */
export function JsonView({ value, disabled, onEdit }: Props) {
  const [draft, setDraft] = useState<string | null>(null);
  const text = JSON.stringify(value, null, 2);
  const parsed = draft === null ? null : parseState(draft);
  return (
    <details className="json" data-testid="state-json">
      <summary>Document</summary>
      {draft === null ? (
        <>
          <pre data-testid="state-json-text">{text}</pre>
          <button type="button" className="button" data-testid="edit-json" disabled={disabled} onClick={() => setDraft(text)}>
            Edit as JSON
          </button>
        </>
      ) : (
        <>
          <textarea
            aria-label="State as JSON"
            data-testid="json-draft"
            spellCheck={false}
            rows={Math.min(16, draft.split("\n").length + 1)}
            value={draft}
            onChange={(event) => setDraft(event.target.value)}
          />
          <div className="json-actions">
            <button
              type="button"
              className="button primary"
              data-testid="apply-json"
              disabled={disabled || parsed === null}
              onClick={() => {
                if (parsed === null) return;
                onEdit(parsed);
                setDraft(null);
              }}
            >
              Apply
            </button>
            <button type="button" className="button plain" onClick={() => setDraft(null)}>
              Cancel
            </button>
            <small className="quiet">{parsed === null ? "Not a JSON object yet" : ""}</small>
          </div>
        </>
      )}
    </details>
  );
}

function parseState(text: string): State | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as State) : null;
  } catch {
    return null;
  }
}
