/** The runtime through CopilotKit's own core, as its React components drive it, on each transport. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { house, until, user, words } from "./house.mjs";

// The core connects where there is a window only; nothing else of a browser is asked for.
globalThis.window ??= globalThis;
const { CopilotKitCore, ɵcreateThreadStore, ɵselectHasNextPage, ɵselectThreads } = await import("@copilotkit/core");

const here = house();

/** A page: a core that is connected, with whatever it reports as an error. */
async function page(runtimeTransport, options = {}) {
  const core = new CopilotKitCore({ runtimeUrl: here.url(), runtimeTransport, ...options });
  const errors = [];
  core.subscribe({ onError: ({ code, error }) => void errors.push(`${code}: ${error.message}`) });
  core.connect();
  await until(() => core.runtimeConnectionStatus === "connected", "the core is connected");
  const open = (threadId = randomUUID()) => {
    const agent = core.getAgent("demo");
    agent.threadId = threadId;
    return agent;
  };
  const say = (agent, text) => {
    agent.addMessage(user(text));
    return core.runAgent({ agent });
  };
  return { core, errors, open, say };
}

/** The thread as a fresh page finds it. */
async function reload(transport, threadId) {
  const { core, errors, open } = await page(transport);
  const agent = open(threadId);
  await core.connectAgent({ agent });
  return { agent, errors };
}

for (const transport of ["rest", "single", "auto"]) {
  test(`${transport}: a conversation with state, and a reload that brings all of it back`, async () => {
    const { core, errors, open, say } = await page(transport);
    assert.deepEqual(Object.keys(core.agents).sort(), ["default", "demo"]);
    const agent = open();
    await say(agent, "plan it");
    agent.setState({ ...agent.state, title: "Mine" });
    await say(agent, "finish it");
    assert.deepEqual(agent.state, { title: "Mine", steps: [{ title: "Tag", done: true }] });
    const seen = await reload(transport, agent.threadId);
    assert.deepEqual(seen.agent.messages, agent.messages);
    assert.deepEqual(seen.agent.state, agent.state);
    assert.deepEqual([errors, seen.errors], [[], []]);
  });

  test(`${transport}: a tool of the page runs, and the follow-up run starts by itself`, async () => {
    const painted = [];
    const tool = {
      name: "set_theme_color",
      handler: async ({ color }) => {
        painted.push(color);
        return `painted ${color}`;
      },
    };
    const { errors, open, say } = await page(transport, { tools: [tool] });
    const agent = open();
    await say(agent, "another colour");
    assert.deepEqual(painted, ["teal"]);
    assert.deepEqual(words(agent.messages), [
      "user: another colour",
      'assistant: set_theme_color({"color":"teal"})',
      "tool: painted teal",
      "assistant: the browser said painted teal",
    ]);
    assert.deepEqual((await reload(transport, agent.threadId)).agent.messages, agent.messages);
    assert.deepEqual(errors, []);
  });

  test(`${transport}: stop ends the run without an error`, async () => {
    const { core, errors, open, say } = await page(transport);
    const agent = open();
    const running = say(agent, "slow please");
    await until(() => (agent.messages.at(-1)?.content ?? "").includes("tick"), "something is said");
    core.stopAgent({ agent });
    await running;
    assert.equal(agent.isRunning, false);
    await say(agent, "hello");
    assert.equal(agent.messages.at(-1).content, "You said: hello");
    assert.deepEqual(errors, []);
  });

  test(`${transport}: a page that comes later follows the live run and can stop it`, async () => {
    const first = await page(transport);
    const agent = first.open();
    const running = first.say(agent, "slow please");
    await until(() => (agent.messages.at(-1)?.content ?? "").includes("tick"), "something is said");
    const second = await page(transport);
    const late = second.open(agent.threadId);
    const connected = second.core.connectAgent({ agent: late });
    await until(() => (late.messages.at(-1)?.content ?? "").includes("tick"), "the late page hears it");
    second.core.stopAgent({ agent: late });
    await Promise.all([running, connected]);
    assert.deepEqual(late.messages, agent.messages);
    assert.deepEqual([first.errors, second.errors], [[], []]);
  });

  test(`${transport}: a question is answered after a reload`, async () => {
    const { open, say } = await page(transport);
    const agent = open();
    await say(agent, "ship it");
    const { agent: again, errors } = await reload(transport, agent.threadId);
    assert.deepEqual(again.pendingInterrupts.map(({ id }) => id), ["approve-1"]);
    await again.runAgent({ resume: [{ interruptId: "approve-1", status: "resolved", payload: { approved: true } }] });
    assert.equal(again.messages.at(-1).content, 'resumed with resolved {"approved":true}');
    assert.deepEqual(errors, []);
  });

  test(`${transport}: an error is reported with its code`, async () => {
    const { errors, open, say } = await page(transport);
    const agent = open();
    await say(agent, "break it");
    assert.ok(errors.some((error) => error.includes("the warehouse did not answer")), errors.join("\n"));
    assert.equal(agent.messages.at(-1).content, "partial");
  });

  test(`${transport}: suggestions come and leave no thread of their own`, async () => {
    const { core, errors, open, say } = await page(transport);
    const agent = open();
    await say(agent, "hello");
    const threads = (await here.get("/threads?limit=200")).threads.length;
    core.addSuggestionsConfig({ instructions: "What next?", available: "always", providerAgentId: "demo" });
    core.reloadSuggestions("demo");
    await until(() => core.getSuggestions("demo").suggestions.length === 2, "two suggestions are there");
    assert.deepEqual(core.getSuggestions("demo").suggestions.map(({ title }) => title), ["Plan it", "Ship it"]);
    await until(() => !core.getSuggestions("demo").isLoading, "they are complete");
    assert.equal((await here.get("/threads?limit=200")).threads.length, threads);
    assert.deepEqual(words(agent.messages), ["user: hello", "assistant: You said: hello"]);
    assert.deepEqual(errors, []);
  });

  test(`${transport}: threads are listed in pages, renamed, archived, brought back and deleted`, async () => {
    await fetch(`${here.url()}/threads/clear`, { method: "POST" });
    const { core, errors, open, say } = await page(transport);
    const ids = ["t1", "t2", "t3"].map((name) => `${name}-${transport}`);
    for (const id of ids) {
      const agent = open(id);
      agent.setMessages([]);
      await say(agent, "hello");
    }
    const store = ɵcreateThreadStore({ fetch: core.ɵruntimeFetch });
    const listed = () => ɵselectThreads(store.getState()).map(({ id, name, archived }) => [id, name, archived]);
    store.start();
    store.setContext({ runtimeUrl: core.runtimeUrl, headers: {}, agentId: "demo", limit: 2 });
    await until(() => listed().length === 2, "the first page is there");
    assert.equal(ɵselectHasNextPage(store.getState()), true);
    store.fetchNextPage();
    await until(() => listed().length === 3, "the second page is there");
    assert.equal(ɵselectHasNextPage(store.getState()), false);
    await store.renameThread(ids[0], "Groceries");
    await store.archiveThread(ids[1]);
    await store.deleteThread(ids[2]);
    store.refresh();
    await until(() => listed().length === 1, "one thread is left in the list");
    assert.deepEqual(listed(), [[ids[0], "Groceries", false]]);
    await store.unarchiveThread(ids[1]);
    store.refresh();
    await until(() => listed().length === 2, "the archived one is back");
    assert.deepEqual(listed().map(([id]) => id), [ids[1], ids[0]], "last touched first");
    await assert.rejects(store.renameThread("nobody", "x"), /404/);
    store.stop();
    assert.deepEqual((await reload(transport, ids[2])).agent.messages, [], "a deleted thread is empty");
    assert.deepEqual(errors, []);
  });
}
