/** Who has this page open. */
import { Presence } from "coagent-runtime/react";
import { stateId, tabName } from "../example";
import useSharedState from "../hooks/useSharedState";

export function People() {
  const { presence, status } = useSharedState({ stateType: "shared", stateId, presence: { name: tabName } });
  return (
    <section className="card" data-testid="people">
      <h2>Here now</h2>
      {presence.length === 0 ? (
        <p className="quiet">{status === "offline" || status === "closed" ? "Nobody can be seen while this tab is offline." : "Looking who is here…"}</p>
      ) : (
        <Presence stateType="shared" stateId={stateId} className="people">
          {({ data, isSelf }) => (
            <>
              <i aria-hidden="true">{nameOf(data).slice(0, 1)}</i>
              <span>{nameOf(data)}</span>
              {isSelf && <small className="quiet">this tab</small>}
            </>
          )}
        </Presence>
      )}
    </section>
  );
}

function nameOf(data: unknown): string {
  const { name } = (data ?? {}) as { name?: unknown };
  return typeof name === "string" ? name : "Somebody";
}
