/** The document's past. */
import { StateHistory } from "coagent-runtime/react";
import { type Example, stateId } from "../example";

export function TimeTravel() {
  return (
    <section className="card" data-testid="history">
      <h2>History</h2>
      <StateHistory<Example> stateType="shared" stateId={stateId} className="history">
        {({ state, commit }) => (
          <div className="past" data-testid="past">
            <p>
              Count <b>{state.count}</b>, {state.messages.length === 1 ? "1 message" : `${state.messages.length} messages`}
            </p>
            {commit && (
              <p className="quiet">
                {commit.actor}, {new Date(commit.at).toLocaleTimeString()}
                {commit.reason && `: ${commit.reason}`}
              </p>
            )}
          </div>
        )}
      </StateHistory>
    </section>
  );
}
