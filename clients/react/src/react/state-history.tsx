/** A slider through the versions of a document, with a way back to the one that is looked at. */
import { type ReactNode, useEffect, useState } from "react";
import { StateError } from "../errors.js";
import type { Commit } from "../http.js";
import { useSharedState } from "./use-shared-state.js";

export type Past<T> = { readonly version: number; readonly state: T; readonly commit: Commit | undefined };

export type StateHistoryProps<T> = {
  readonly stateType: string;
  readonly stateId: string;
  readonly className?: string;
  /** Told what is looked at; `null` is now. */
  readonly onLook?: (past: Past<T> | null) => void;
  /** What is shown of a version in the past. */
  readonly children?: (past: Past<T>) => ReactNode;
};

export function StateHistory<T>({ stateType, stateId, className = "coagent-history", onLook, children }: StateHistoryProps<T>): ReactNode {
  const { version: head, connected, at, history, rollback } = useSharedState<T>({ stateType, stateId });
  const [wanted, setWanted] = useState<number | null>(null);
  const [past, setPast] = useState<Past<T> | null>(null);
  const [failure, setFailure] = useState<string | null>(null);

  const look = (next: Past<T> | null) => {
    setPast(next);
    onLook?.(next);
  };
  const failed = (error: unknown) => setFailure(error instanceof StateError ? error.message : String(error));

  useEffect(() => {
    setFailure(null);
    if (wanted === null) return look(null);
    let isCurrent = true;
    Promise.all([at(wanted), history({ after: wanted - 1, limit: 1 })]).then(
      ([state, [commit]]) => isCurrent && look({ version: wanted, state: state as T, commit }),
      (error: unknown) => isCurrent && failed(error),
    );
    return () => {
      isCurrent = false;
    };
    // What is looked at changes with the slider only.
  }, [wanted]);

  const goBack = () => {
    if (wanted === null) return;
    rollback(wanted, `back to version ${wanted}`).then(() => setWanted(null), failed);
  };
  const shown = wanted ?? head;
  return (
    <section className={className} aria-label="History" data-version={shown} data-past={wanted !== null}>
      <label>
        <span>Version</span>
        <input
          type="range"
          min={1}
          max={Math.max(head, 1)}
          value={shown}
          disabled={head < 2 || !connected}
          onChange={({ target }) => setWanted(Number(target.value) === head ? null : Number(target.value))}
        />
        <output>
          {shown} of {head}
        </output>
      </label>
      <div>
        <button type="button" disabled={wanted === null} onClick={() => setWanted(null)}>
          Back to now
        </button>
        <button type="button" disabled={!past || !connected} onClick={goBack}>
          Restore this version
        </button>
      </div>
      {past && children?.(past)}
      {failure && <p role="alert">{failure}</p>}
    </section>
  );
}
