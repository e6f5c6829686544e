/** CopilotKit's agents with live state; needs `@copilotkit/react-core` 1.74 or later and both providers above. */
import { useAgent, useCopilotKit } from "@copilotkit/react-core/v2";
import { useCallback, useEffect, useState } from "react";
import { bind, type Runs } from "./copilotkit/binding.js";
import type { DocumentState, SharedDocument } from "./document.js";
import { StateError } from "./errors.js";
import type { Http } from "./http.js";
import type { Json } from "./json.js";
import { useStateClient } from "./react/provider.js";
import { useSharedDocument, useSharedState } from "./react/use-shared-state.js";

export type LiveAgentState<T> = Omit<DocumentState<T>, "presence"> & {
  /** The whole next state, or how to make it; it reaches the server, and everybody, at once. */
  readonly setState: (next: T | ((before: T) => T)) => void;
};

/**
 * The state of an agent as its document has it: edits of others and of runs that nobody watches appear by themselves, and the agent's
 * own `state` follows between its runs. Before there is a document, at `version` 0, it is the agent's own.
 */
export function useLiveAgentState<T = Json>(agentId: string, threadId?: string): LiveAgentState<T> {
  const { agent } = useAgent({ agentId });
  const { copilotkit } = useCopilotKit();
  const client = useStateClient();
  const thread = threadId ?? agent.threadId ?? "";
  const [type, id] = useStateOf(agentId, thread, client?.http);
  const document = useSharedDocument<Json>(type, id, undefined);
  const standing = useSharedDocument<Standing>("lifecycle", `agent:${agentId}`, undefined);
  const { presence: _, updateState, state, ...shared } = useSharedState<T>({ stateType: type, stateId: id });
  const isKnown = shared.version > 0;

  useEffect(() => {
    if (!document || !standing || !client) return;
    const attend = () => copilotkit.connectAgent({ agent });
    return bind({ agent, document, runs: runsOf(client.http, agentId, thread, [document, standing]), attend });
  }, [agent, agentId, client, copilotkit, document, standing, thread]);

  const setState = useCallback(
    (next: T | ((before: T) => T)) => {
      if (isKnown) updateState(next as Parameters<typeof updateState>[0]);
      else agent.setState(typeof next === "function" ? (next as (before: T) => T)(agent.state as T) : next);
    },
    [agent, isKnown, updateState],
  );
  return { ...shared, state: isKnown ? (state as T) : (agent.state as T), setState };
}

/** Which document holds an agent's state (docs/agents.md §6). */
function useStateOf(agentId: string, thread: string, http: Http | undefined): readonly [type: string, id: string] {
  const [scope, setScope] = useState("thread");
  useEffect(() => {
    let isCurrent = true;
    http?.get<{ state?: { scope: string } }>(`/v1/agents/${encodeURIComponent(agentId)}`).then(
      ({ state }) => isCurrent && setScope(state?.scope ?? "thread"),
      // An agent that is not there has no document either, and says so by its own error.
      () => undefined,
    );
    return () => {
      isCurrent = false;
    };
  }, [agentId, http]);
  if (scope === "agent") return ["agent", agentId];
  if (scope.startsWith("shared/")) return ["shared", scope.slice("shared/".length).replaceAll(/\{\{\s*thread\s*\}\}/g, thread)];
  return ["agent", `${agentId}:${thread}`];
}

/** Of `lifecycle/agent:<id>`. */
type Standing = { readonly last_run?: { readonly run_id: string } };

/** Most runs are known by what they write; those that write nothing, by what their agent is at. */
function runsOf(http: Http, agentId: string, thread: string, [document, standing]: [SharedDocument<Json>, SharedDocument<Standing>]): Runs {
  const list = `/v1/runs?${new URLSearchParams({ agent: agentId, thread })}`;
  return {
    onRun(listener) {
      // What went before is shown by the page itself, which replays the thread that it opens.
      let isNew = false;
      let latest: string | undefined;
      const look = () => {
        const { state, status } = standing.getSnapshot();
        const runId = state?.last_run?.run_id;
        if (isNew && runId !== undefined && runId !== latest) listener(runId);
        latest = runId;
        isNew ||= status === "live" || status === "closed";
      };
      look();
      const stops = [document.onRun((runId) => (isNew ? listener(runId) : undefined)), standing.subscribe(look)];
      return () => stops.forEach((stop) => stop());
    },
    async ended() {
      const page = await answered(http.get<{ items: { run_id: string; finished_at?: string }[] }>(list), undefined);
      return page?.items.filter(({ finished_at }) => finished_at !== undefined).map(({ run_id }) => run_id);
    },
    async isOfThread(runId) {
      const { thread_id } = await answered(http.get<{ thread_id: string }>(`/v1/runs/${encodeURIComponent(runId)}`), { thread_id: "" });
      return thread_id === thread;
    },
  };
}

/** What may not be read, or cannot be just now, is shown when the thread is opened again. */
async function answered<T, O>(answer: Promise<T>, otherwise: O): Promise<T | O> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof StateError) return otherwise;
    throw error;
  }
}
