/** Which document holds an agent's state (docs/agents.md §6). */
import { useEffect, useState } from "react";
import { StateError } from "../errors.js";
import { useClientState, useStateClient } from "../react/provider.js";

/** The `id` is `null` until it is known. */
export function useStateDocument(agentId: string, thread: string | null): readonly [type: string, id: string | null] {
  const scope = useScope(thread === null ? null : agentId);
  if (scope === null || thread === null) return ["agent", null];
  if (scope === "agent") return ["agent", agentId];
  if (scope.startsWith("shared/")) return ["shared", scope.slice("shared/".length).replaceAll(/\{\{\s*thread\s*\}\}/g, thread)];
  return ["agent", `${agentId}:${thread}`];
}

function useScope(agentId: string | null): string | null {
  const http = useStateClient()?.http;
  const { status } = useClientState();
  const isLinked = status === "live" || status === "syncing";
  const [found, setFound] = useState<{ readonly agentId: string; readonly scope: string } | null>(null);
  const scope = found?.agentId === agentId ? found.scope : null;

  useEffect(() => {
    if (!http || agentId === null || scope !== null) return;
    let isCurrent = true;
    http.get<{ state?: { scope: string } }>(`/v1/agents/${encodeURIComponent(agentId)}`).then(
      ({ state }) => isCurrent && setFound({ agentId, scope: state?.scope ?? "thread" }),
      (error: unknown) => {
        if (!(error instanceof StateError)) throw error;
        // Without an answer it is asked again when there is a connection. An agent that is not there has no document, which says so.
        if (isCurrent && error.code !== "unavailable") setFound({ agentId, scope: "thread" });
      },
    );
    return () => {
      isCurrent = false;
    };
  }, [agentId, http, isLinked, scope]);
  return scope;
}
