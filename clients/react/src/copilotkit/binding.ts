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
type Told = { readonly agent: unknown };
type Subscriber = {
  onRunInitialized?(parameters: Told & { readonly input: RunInput }): Promise<{ state: { [name: string]: Json } } | undefined>;
  onRunStartedEvent?(parameters: Told): void;
  onStateChanged?(parameters: Told): void;
  onMessagesChanged?(parameters: Told): void;
  onRunFinalized?(parameters: Told): void;
};

/** The runs of the agent's thread. */
export type Runs = {
  /** Tells of runs of the agent, on this thread or another, as soon as something is known of them; perhaps more than once. */
  onRun(listener: (runId: string) => void): () => void;
  /** The ids of the latest that have ended, the newest first; `undefined` when that cannot be said now. */
  ended(): Promise<readonly string[] | undefined>;
  isOfThread(runId: string): Promise<boolean>;
};

/** How often an agent is looked at whose run will not tell of its end. */
const LOOK_MS = 50;

/** How long a run waits for edits that are under way to the document. */
const SETTLING_MS = 3_000;

export type Binding = {
  readonly agent: BoundAgent;
  readonly document: SharedDocument<Json>;
  readonly runs: Runs;
  /** Shows the thread, with a run that goes on to its end. */
  readonly attend: () => Promise<unknown>;
};

/** Answers how to end it. */
export function bind({ agent, document, runs, attend }: Binding): () => void {
  let given: Json | undefined = agent.state as Json;
  /** Runs that are shown here, or were. */
  const met = new Set<string>();
  /** Takes what has ended until now as shown; answers what of it is new, the oldest first. */
  const meet = async () => {
    const fresh = (await runs.ended())?.filter((runId) => !met.has(runId)).reverse() ?? [];
    for (const runId of fresh) met.add(runId);
    return fresh;
  };
  let meeting = meet();
  let isEnded = false;
  /** What the run that is being shown is: one of this page, or a replay of the thread. */
  let isReplay = agent.isRunning;
  /** From which run on the next replay shows the thread: what went before it is on the page. */
  let replayFrom: string | undefined;
  /** Runs that are shown here. While there is one its own events lead the agent's state from version to version. */
  let shown = agent.isRunning ? 1 : 0;
  /** Runs that were heard of meanwhile: the one that is shown, and perhaps one that came after it. */
  const heardOf = new Set<string>();
  /** CopilotKit asks for suggestions by copies of the agent, which have its subscribers. */
  const isCopy = (told: Told) => told.agent !== agent;

  const give = () => {
    const { state, version } = document.getSnapshot();
    if (shown > 0 || version === 0 || !isObject(state) || same(state, agent.state as Json)) return;
    given = state;
    agent.setState(state);
  };

  const take = () => {
    const state = agent.state as Json;
    // CopilotKit empties an agent before it replays a thread; that is no edit.
    const isEmptied = isObject(state) && Object.keys(state).length === 0;
    if (shown > 0 || isEmptied || same(state, given) || document.getSnapshot().version === 0) return;
    given = state;
    document.updateState(state);
  };

  const isOver = () => {
    shown = Math.max(0, shown - 1);
    // Where its events have led is no edit of anybody here.
    given = agent.state as Json;
    give();
    // A replay has shown all that has ended by now; a run of this page only itself, which is the first that is new.
    const isAll = isReplay;
    const missed = meeting.then(meet).then((fresh) => (isAll ? [] : fresh.slice(1)));
    meeting = missed;
    void missed.then(([runId]) => (runId === undefined ? undefined : show(runId)));
    for (const runId of heardOf) void look(runId);
    heardOf.clear();
  };

  // A run tells those of its end who were there at its beginning.
  const looking = shown === 0 ? undefined : setInterval(() => {
    if (agent.isRunning) return;
    clearInterval(looking);
    isOver();
  }, LOOK_MS);

  const subscription = agent.subscribe({
    // The first run of a thread makes its document.
    onRunStartedEvent: (told) => (isCopy(told) ? undefined : document.lookAgain()),
    onStateChanged: (told) => (isCopy(told) ? undefined : take()),
    onRunFinalized: (told) => (isCopy(told) ? undefined : isOver()),
    async onRunInitialized({ input, ...told }) {
      if (isCopy(told)) return undefined;
      shown += 1;
      const from = replayFrom;
      replayFrom = undefined;
      // Without messages a thread is replayed, not run.
      isReplay = from !== undefined || input.messages.length === 0;
      if (from !== undefined) addProps(input, { fromRun: from });
      if (isReplay || document.getSnapshot().version === 0) return undefined;
      await settled(document);
      const { version, state } = document.confirmed();
      addProps(input, { stateVersion: version });
      return isObject(state) ? { state: { ...state } } : undefined;
    },
  });

  const look = async (runId: string) => {
    await meeting;
    if (met.has(runId)) return;
    met.add(runId);
    if (await runs.isOfThread(runId)) await show(runId);
  };
  /** Shows a run that was not asked for here, and those after it; a page that is busy does so when it is not. */
  const show = async (runId: string) => {
    if (isEnded) return;
    if (shown > 0) {
      met.delete(runId);
      heardOf.add(runId);
      return;
    }
    replayFrom = runId;
    try {
      await attend();
    } finally {
      replayFrom = undefined;
    }
  };
  const stopRuns = runs.onRun((runId) => {
    if (shown > 0) heardOf.add(runId);
    else void look(runId);
  });
  const stopGiving = document.subscribe(give);
  give();
  return () => {
    isEnded = true;
    clearInterval(looking);
    subscription.unsubscribe();
    stopRuns();
    stopGiving();
  };
}

/** Our properties beside those of the application (docs/copilotkit.md §4). */
function addProps(input: RunInput, coagent: Json): void {
  const properties = isObject(input.forwardedProps) ? input.forwardedProps : {};
  input.forwardedProps = { ...properties, coagent };
}

/** What is not settled by then comes to the run by itself: the document's changes reach it while it is live. */
async function settled(document: SharedDocument<Json>): Promise<void> {
  if (!document.getSnapshot().connected) return;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, SETTLING_MS)));
  await Promise.race([document.settled(), late]);
  clearTimeout(timer);
}
