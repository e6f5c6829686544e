/** CopilotKit's agent and its document, kept as one: each hears what happens to the other. */
import type { SharedDocument } from "../document.js";
import { isObject, type Json, same } from "../json.js";

/** What is used of an ag-ui agent. */
export type BoundAgent = {
  readonly threadId?: string;
  readonly isRunning: boolean;
  readonly state: unknown;
  setState(state: unknown): void;
  subscribe(subscriber: Subscriber): { unsubscribe(): void };
};
type RunInput = { readonly messages: readonly unknown[]; forwardedProps?: unknown };
type Subscriber = {
  onRunInitialized?(parameters: { readonly input: RunInput }): Promise<{ state: { [name: string]: Json } } | undefined>;
  onStateChanged?(parameters: { readonly state: unknown }): void;
  onRunFinalized?(): void;
};

/** How long a run waits for edits that are under way to the document. */
const SETTLING_MS = 3_000;

export type Binding = {
  readonly agent: BoundAgent;
  readonly document: SharedDocument<Json>;
  /** Attends a run that this page did not start. */
  readonly attend: () => Promise<unknown>;
  readonly isLive: (runId: string) => Promise<boolean>;
};

/** Answers how to end it. */
export function bind({ agent, document, attend, isLive }: Binding): () => void {
  let given: Json | undefined = agent.state as Json;
  const met = new Set<string>();

  /** While a run is seen here, its own events lead the agent's state from version to version. */
  const give = () => {
    const { state, version } = document.getSnapshot();
    if (agent.isRunning || version === 0 || !isObject(state) || same(state, agent.state as Json)) return;
    given = state;
    agent.setState(state);
  };

  const take = (state: Json) => {
    // CopilotKit empties an agent before it replays a thread; that is no edit.
    const isEmptied = isObject(state) && Object.keys(state).length === 0;
    if (agent.isRunning || isEmptied || same(state, given) || document.getSnapshot().version === 0) return;
    given = state;
    document.updateState(state);
  };

  const subscription = agent.subscribe({
    onStateChanged: ({ state }) => take(state as Json),
    onRunFinalized: () => queueMicrotask(give),
    async onRunInitialized({ input }) {
      // Without messages a thread is replayed, not run.
      if (input.messages.length === 0 || document.getSnapshot().version === 0) return undefined;
      await settled(document);
      const { version, state } = document.confirmed();
      const properties = isObject(input.forwardedProps) ? input.forwardedProps : {};
      input.forwardedProps = { ...properties, coagent: { stateVersion: version } };
      return isObject(state) ? { state: { ...state } } : undefined;
    },
  });

  const stopRuns = document.onRun((runId) => {
    if (met.has(runId)) return;
    met.add(runId);
    if (agent.isRunning) return;
    void isLive(runId).then((live) => (live && !agent.isRunning ? attend() : undefined));
  });
  const stopGiving = document.subscribe(give);
  give();
  return () => {
    subscription.unsubscribe();
    stopRuns();
    stopGiving();
  };
}

/** What is not settled by then comes to the run by itself: the document's changes reach it while it is live. */
async function settled(document: SharedDocument<Json>): Promise<void> {
  if (!document.getSnapshot().connected) return;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, SETTLING_MS)));
  await Promise.race([document.settled(), late]);
  clearTimeout(timer);
}
