/**
 * The runtime through `@ag-ui/client`: 0.0.59, which CopilotKit 1.74 holds, and 1.0.0. Their `runAgent` checks every event
 * against its schema and the order of all of them, so a stream that one of these tests reads to its end is a right one.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import * as current from "ag-ui-client-1.0.0";
import * as legacy from "ag-ui-client-0.0.59";
import { house, until, user, words } from "./house.mjs";

const here = house();
const color = { name: "set_theme_color", description: "", parameters: { type: "object", properties: { color: { type: "string" } } } };
const planned = ["reasoning: first think", 'assistant: get_weather({"city":"Rome"})', 'tool: {"degrees":21}', "assistant: planned"];

for (const [version, { HttpAgent }] of Object.entries({ "0.0.59": legacy, "1.0.0": current })) {
  const open = (threadId = randomUUID(), route = "run") => new HttpAgent({ url: `${here.url()}/agent/demo/${route}`, threadId });
  /** Everything a reload gets, through the client's own checks. */
  const reload = async (threadId) => {
    const reader = open(threadId, "connect");
    const errors = [];
    await reader.runAgent({}, { onRunErrorEvent: ({ event }) => void errors.push(event.message) });
    return { messages: reader.messages, state: reader.state, interrupts: reader.pendingInterrupts, errors };
  };
  const say = async (agent, text, parameters = {}, subscriber = {}) => {
    agent.addMessage(user(text));
    await agent.runAgent(parameters, subscriber);
  };
  const alike = (text) => text.replace(/^reasoning: .*/, "reasoning: first think");

  test(`${version}: text, reasoning, tools, steps and state of a run, and of its reload`, async () => {
    const agent = open();
    const steps = [];
    let deltas = 0;
    await say(agent, "plan it", {}, {
      onStepStartedEvent: ({ event }) => void steps.push(event.stepName),
      onStepFinishedEvent: ({ event }) => void steps.push(`${event.stepName}!`),
      onStateDeltaEvent: () => void deltas++,
    });
    assert.deepEqual(words(agent.messages).map(alike), ["user: plan it", ...planned]);
    assert.deepEqual(agent.state, { title: "Release", steps: [{ title: "Tag", done: false }] });
    assert.deepEqual(steps, ["Write", "Write!"]);
    assert.equal(deltas, 2, "the agent's writes arrive one by one");
    const seen = await reload(agent.threadId);
    assert.deepEqual(seen.messages, agent.messages, "the same messages under the same ids");
    assert.deepEqual(seen.state, agent.state);
  });

  test(`${version}: state over three runs with edits of the client between them, and over a restart`, async () => {
    const agent = open();
    await say(agent, "plan it");
    agent.setState({ ...agent.state, steps: [{ title: "Tag twice", done: false }] });
    await say(agent, "finish it");
    assert.deepEqual(agent.state, { title: "Release", steps: [{ title: "Tag twice", done: true }] });
    agent.setState({ ...agent.state, title: "Mine" });
    await say(agent, "hello");
    await here.restart();
    const seen = await reload(agent.threadId);
    assert.deepEqual(seen.state, { title: "Mine", steps: [{ title: "Tag twice", done: true }] });
    assert.deepEqual(seen.messages, agent.messages);
  });

  test(`${version}: a stop ends the run, what was said stays, and the thread goes on`, async () => {
    const agent = open();
    const running = say(agent, "slow please");
    await until(() => (agent.messages.at(-1)?.content ?? "").includes("tick tick"), "something is said");
    const stopped = await fetch(`${here.url()}/agent/demo/stop/${agent.threadId}`, { method: "POST" });
    assert.equal((await stopped.json()).stopped, true);
    await running;
    assert.match(agent.messages.at(-1).content, /^(tick )+$/);
    assert.equal(agent.isRunning, false);
    await say(agent, "hello");
    assert.equal(agent.messages.at(-1).content, "You said: hello");
    assert.deepEqual((await reload(agent.threadId)).messages, agent.messages);
  });

  test(`${version}: a page whose past was asked again is told to forget it, and shown the thread as it is`, async () => {
    const agent = open();
    await say(agent, "hello");
    const runs = await (await fetch(new URL(`/v1/runs?thread=${agent.threadId}`, here.url()))).json();
    const fromRun = runs.items[0].run_id;
    const before = agent.messages;
    agent.setMessages(before.slice(0, 1));
    await agent.runAgent();
    assert.notDeepEqual(agent.messages, before);
    const page = open(agent.threadId, "connect");
    page.setMessages(before);
    await page.runAgent({ forwardedProps: { coagent: { fromRun } } });
    assert.deepEqual(page.messages, agent.messages);
  });

  test(`${version}: a second reader follows a live run from its beginning to its end`, async () => {
    const agent = open();
    const running = say(agent, "slow please");
    await until(() => (agent.messages.at(-1)?.content ?? "").includes("tick"), "something is said");
    const reader = open(agent.threadId, "connect");
    const reading = reader.runAgent();
    await until(() => (reader.messages.at(-1)?.content ?? "").includes("tick"), "the reader hears it");
    await fetch(`${here.url()}/agent/demo/stop/${agent.threadId}`, { method: "POST" });
    await Promise.all([running, reading]);
    assert.deepEqual(reader.messages, agent.messages);
  });

  test(`${version}: a tool of the client's is called, and its result starts the next run`, async () => {
    const agent = open();
    await say(agent, "another colour", { tools: [color] });
    const call = agent.messages.at(-1).toolCalls[0];
    assert.deepEqual([call.function.name, JSON.parse(call.function.arguments)], ["set_theme_color", { color: "teal" }]);
    agent.addMessage({ id: randomUUID(), role: "tool", toolCallId: call.id, content: "painted" });
    await agent.runAgent({ tools: [color] });
    assert.equal(agent.messages.at(-1).content, "the browser said painted");
    assert.deepEqual((await reload(agent.threadId)).messages, agent.messages);
  });

  test(`${version}: a question waits, also over a reload, and is answered or dismissed`, async () => {
    for (const [answer, said] of [
      [{ status: "resolved", payload: { approved: true } }, 'resumed with resolved {"approved":true}'],
      [{ status: "cancelled" }, "resumed with cancelled null"],
    ]) {
      const agent = open();
      await say(agent, "ship it");
      assert.deepEqual(agent.pendingInterrupts.map(({ id, message }) => [id, message]), [["approve-1", "Ship it?"]]);
      const seen = await reload(agent.threadId);
      assert.deepEqual(seen.interrupts, agent.pendingInterrupts, "a reload brings the question back");
      await agent.runAgent({ resume: [{ interruptId: "approve-1", ...answer }] });
      assert.equal(agent.messages.at(-1).content, said);
      assert.deepEqual(agent.pendingInterrupts, []);
      assert.deepEqual((await reload(agent.threadId)).interrupts, [], "and an answered one does not come back");
    }
  });

  test(`${version}: an error is told with its code, and the text before it stays`, async () => {
    const agent = open();
    const told = [];
    await say(agent, "break it", {}, { onRunErrorEvent: ({ event }) => void told.push([event.code, event.message]) });
    assert.deepEqual(told, [["upstream_lost", "the warehouse did not answer"]]);
    assert.equal(agent.messages.at(-1).content, "partial");
    const seen = await reload(agent.threadId);
    assert.deepEqual([seen.errors, seen.messages], [["the warehouse did not answer"], agent.messages]);
    await say(agent, "hello");
    assert.equal(agent.messages.at(-1).content, "You said: hello");
  });

  test(`${version}: a second run on a busy thread is refused with its reason`, async () => {
    const agent = open();
    const running = say(agent, "slow please");
    await until(() => (agent.messages.at(-1)?.content ?? "").includes("tick"), "something is said");
    await assert.rejects(say(open(agent.threadId), "me too"), /409[\s\S]*thread_busy/);
    await fetch(`${here.url()}/agent/demo/stop/${agent.threadId}`, { method: "POST" });
    await running;
  });

  test(`${version}: a suggestion leaves nothing behind`, async () => {
    const agent = open(randomUUID(), "suggest");
    const tool = { name: "copilotkitSuggest", description: "", parameters: { type: "object", properties: {} } };
    await say(agent, "call copilotkitSuggest", { tools: [tool] });
    assert.match(agent.messages.at(-1).toolCalls[0].function.arguments, /plan the release/);
    assert.deepEqual((await reload(agent.threadId)).messages, []);
  });
}
