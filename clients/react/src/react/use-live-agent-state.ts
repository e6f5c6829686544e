/** CopilotKit's agents with live state; needs `@copilotkit/react-core` 1.74 or later, and both providers above. */
import { useCallback, useEffect, useMemo, useRef } from "react";
import { type BoundAgent, bind } from "../copilotkit/binding.js";
import { useCore, useCoreAgent, useOfAgent } from "../copilotkit/kit.js";
import { runsOf, type Standing } from "../copilotkit/runs.js";
import { useStateDocument } from "../copilotkit/scope.js";
import { StateError } from "../errors.js";
import type { Json } from "../json.js";
import { useStateClient } from "./provider.js";
import { type SharedStateResult, useSharedDocument, useSharedStateOf } from "./use-shared-state.js";

type Next<T> = T | ((before: T) => T);

export type LiveAgentState<T> = Omit<SharedStateResult<T>, "presence" | "updateState"> & {
  /** The whole next state, or how to make it; it reaches the server, and everybody, at once. */
  readonly setState: (next: Next<T>) => void;
};

/** As CopilotKit's agents begin. */
const EMPTY = {};

/**
 * The state of an agent as its document has it: edits of others and of runs that nobody watches appear by themselves, and the agent's
 * own `state` follows between its runs. Before there is a document, at `version` 0, it is the agent's own.
 */
export function useLiveAgentState<T = Json>(agentId: string, threadId?: string): LiveAgentState<T> {
  const core = useCore();
  const agent = useCoreAgent(core, agentId);
  const own = useOfAgent(agent, ({ state }) => state) ?? EMPTY;
  const current = useOfAgent(agent, (of) => of.threadId);
  const client = useStateClient();
  const thread = threadId ?? current ?? null;
  const [type, id] = useStateDocument(agentId, thread);
  const document = useSharedDocument<Json>(type, id, undefined);
  const standing = useSharedDocument<Standing>("lifecycle", `agent:${agentId}`, undefined);
  const { presence: _, updateState, ...shared } = useSharedStateOf<Json>(document, EMPTY);
  const isKnown = shared.version > 0;

  useEffect(() => {
    if (!document || !standing || !client || !core || !agent || thread === null) return;
    const attend = () => core.connectAgent({ agent });
    return bind({ agent, document, runs: runsOf(client.http, agentId, thread, [document, standing]), attend });
  }, [agent, agentId, client, core, document, standing, thread]);

  // What is set before there is an agent waits for it.
  const waiting = useRef<Next<Json>[]>([]);
  useEffect(() => {
    if (agent) for (const next of waiting.current.splice(0)) setOwn(agent, next);
  }, [agent]);
  const setState = useCallback(
    (next: Next<Json>) => {
      if (isKnown) updateState(next);
      else if (agent) setOwn(agent, next);
      else waiting.current.push(next);
    },
    [agent, isKnown, updateState],
  );
  const absent = useMemo(() => (agent === null ? noSuchAgent(agentId) : {}), [agent, agentId]);
  return { ...shared, ...absent, state: isKnown ? shared.state : own, setState } as unknown as LiveAgentState<T>;
}

function setOwn(agent: BoundAgent, next: Next<Json>): void {
  agent.setState(typeof next === "function" ? next(agent.state as Json) : next);
}

function noSuchAgent(agentId: string): Partial<SharedStateResult<Json>> {
  const error = new StateError({ code: "not_found", message: `there is no agent called ${agentId}` });
  return { status: "closed", connected: false, error };
}
