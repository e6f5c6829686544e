/** How the client is connected, in a word. */
import type { ReactNode } from "react";
import type { Status } from "../document.js";
import { useClientState } from "./provider.js";

const WORDS: Record<Status, string> = { connecting: "Connecting", live: "Live", syncing: "Syncing", offline: "Offline", closed: "Closed" };

export type ConnectionStatusProps = { readonly className?: string; readonly words?: Partial<Record<Status, string>> };

export function ConnectionStatus({ className = "coagent-status", words }: ConnectionStatusProps): ReactNode {
  const { status, pending } = useClientState();
  return (
    <span className={className} role="status" data-status={status} data-pending={pending}>
      <i aria-hidden="true" />
      <span>{words?.[status] ?? WORDS[status]}</span>
      {pending > 0 && <small>{pending === 1 ? "1 edit waits" : `${pending} edits wait`}</small>}
    </span>
  );
}
