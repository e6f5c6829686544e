/** An agent of CopilotKit bound to its document, without either: what is heard of runs, and when. */
import { expect, test, vi } from "vitest";
import { type Binding, type BoundAgent, bind } from "../src/copilotkit/binding.js";

/** As ag-ui's agents: a run tells those that had subscribed when it began. */
class Agent {
  isRunning = false;
  state = {};
  #subscribers: Parameters<BoundAgent["subscribe"]>[0][] = [];

  setState() {}

  subscribe(subscriber: Parameters<BoundAgent["subscribe"]>[0]) {
    this.#subscribers.push(subscriber);
    return { unsubscribe: () => {} };
  }

  /** Answers how to end it. */
  begins() {
    const told = [...this.#subscribers];
    this.isRunning = true;
    for (const one of told) void one.onRunInitialized?.({ agent: this, input: { messages: [] } });
    return () => {
      this.isRunning = false;
      for (const one of told) one.onRunFinalized?.({ agent: this });
    };
  }
}

function bound(agent: Agent) {
  const document = { getSnapshot: () => ({ state: undefined, version: 0 }), subscribe: () => () => {}, lookAgain() {} };
  let tell: (runId: string) => void = () => {};
  const runs: Binding["runs"] = {
    onRun(listener) {
      tell = listener;
      return () => {};
    },
    ended: async () => [],
    isOfThread: async () => true,
  };
  const attend = vi.fn(async () => {});
  const end = bind({ agent, document: document as unknown as Binding["document"], runs, attend });
  return { attend, end, tell: (runId: string) => tell(runId) };
}

test("a run of somebody else is shown when the page is not busy, also one that was heard of while it was", async () => {
  const agent = new Agent();
  const { attend, tell, end } = bound(agent);
  const ends = agent.begins();
  tell("theirs");
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(attend).not.toHaveBeenCalled();
  ends();
  await vi.waitFor(() => expect(attend).toHaveBeenCalledTimes(1));
  end();
});

test("a page that is bound in the middle of a connect is not busy for ever", async () => {
  const agent = new Agent();
  const ends = agent.begins();
  const { attend, tell, end } = bound(agent);
  tell("during");
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(attend).not.toHaveBeenCalled();
  ends();
  await vi.waitFor(() => expect(attend).toHaveBeenCalledTimes(1));
  tell("after");
  await vi.waitFor(() => expect(attend).toHaveBeenCalledTimes(2));
  end();
});
