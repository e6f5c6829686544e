/** Who is at a document now. */
import type { ReactNode } from "react";
import type { Peer } from "../document.js";
import { isObject } from "../json.js";
import { useSharedState } from "./use-shared-state.js";

export type PresenceProps = {
  readonly stateType: string;
  readonly stateId: string;
  readonly className?: string;
  /** What is shown of one; their `name`, else their principal. */
  readonly children?: (peer: Peer) => ReactNode;
};

export function Presence({ stateType, stateId, className = "coagent-presence", children = nameOf }: PresenceProps): ReactNode {
  const { presence } = useSharedState({ stateType, stateId });
  return (
    <ul className={className} aria-label="Who is here">
      {presence.map((peer) => (
        <li key={peer.id} data-self={peer.isSelf}>
          {children(peer)}
        </li>
      ))}
    </ul>
  );
}

function nameOf({ data, principal }: Peer): string {
  const name = isObject(data) ? data["name"] : undefined;
  return typeof name === "string" ? name : principal;
}
