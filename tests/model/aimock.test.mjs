/** The built runtime against aimock: what a model server sends as streams, faults and accounts, as a client sees it. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, afterEach, before, test } from "node:test";
import path from "node:path";
import { startRuntime } from "../browser/server.mjs";
import { startModel } from "./model.mjs";

let model;
let runtime;

before(async () => {
  model = await startModel({ chunkSize: 7, latency: 1 });
  runtime = await startRuntime({ agents: path.join(import.meta.dirname, "agents") });
});
after(async () => {
  await runtime?.stop();
  await model?.stop();
});
afterEach(() => {
  model.mock.clearChaos();
  model.mock.clearRequests();
});

/** Runs the agent and answers its events. */
async function run(content, more = {}) {
  const message = { id: randomUUID(), role: "user", content };
  const input = { threadId: randomUUID(), runId: randomUUID(), messages: [message], tools: [], context: [], state: {}, forwardedProps: {}, ...more };
  const response = await fetch(`${runtime.runtimeUrl}/agent/editor/run`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(input),
  });
  assert.equal(response.status, 200);
  const frames = (await response.text()).split("\n\n");
  return frames.map((frame) => frame.split("\n").find((line) => line.startsWith("data: "))).filter(Boolean).map((line) => JSON.parse(line.slice(6)));
}

const ofType = (events, type) => events.filter((event) => event.type === type);
const text = (events) => ofType(events, "TEXT_MESSAGE_CONTENT").map(({ delta }) => delta).join("");
const last = (events) => events[events.length - 1];

test("two calls of one answer are made in order, each with its result, and the model goes on until it is done", async () => {
  const events = await run("Plan a trip to Rome");
  assert.equal(last(events).type, "RUN_FINISHED");
  assert.equal(text(events), "I am writing the plan. The plan has three steps. Change them as you like.");
  const results = ofType(events, "TOOL_CALL_RESULT").map(({ content }) => JSON.parse(content));
  assert.deepEqual(results, [2, 3, 4, 5].map((version) => ({ ok: true, version })));
  assert.equal(ofType(events, "STATE_DELTA").length, 4, "each write is shown when it is made");
  assert.ok(ofType(events, "TOOL_CALL_ARGS").length > 10, "arguments stream as they come");
  assert.match(ofType(events, "REASONING_MESSAGE_CONTENT").map(({ delta }) => delta).join(""), /A title first/);
  const requests = await model.requests(4);
  assert.equal(requests.length, 4);
  assert.ok(requests.every(({ stream, stream_options }) => stream && stream_options.include_usage));
  assert.match(requests[3].messages.at(-1).content, /Learn ten words of Italian/, "the state is last, and as new as the last write");
});

test("usage of all answers is one sum", async () => {
  const [usage, ...others] = last(await run("Plan a trip to Rome")).usage;
  assert.deepEqual(others, []);
  assert.deepEqual([usage.provider, usage.model], ["aimock", "gpt-5-mini"]);
  assert.ok(usage.inputTokens > 0 && usage.outputTokens > 0);
  assert.equal(usage.totalTokens, usage.inputTokens + usage.outputTokens);
});

test("a write that is refused is told to the model as it is", async () => {
  const answer = text(await run("do something wrong"));
  const told = JSON.parse(answer.replace("I was told: ", ""));
  assert.deepEqual([told.ok, told.code, told.version], [false, "target_gone", 1]);
});

test("a rate limit and a failing server are waited out", async () => {
  model.mock.nextRequestError(429, { message: "slow down", type: "rate_limit_error" });
  assert.equal(text(await run("hello")), "You said: hello");
  model.mock.nextRequestError(503, { message: "busy" });
  assert.equal(text(await run("hello")), "You said: hello");
});

test("a server that never stops failing fails the run, with its words", async () => {
  model.mock.setChaos({ rateLimitRate: 1 });
  const end = last(await run("hello"));
  assert.deepEqual([end.type, end.code], ["RUN_ERROR", "rate_limited"]);
  assert.equal((await model.requests(4)).length, 4);
});

test("a stream that is cut in the middle ends in an error, not in half an answer that looks whole", async () => {
  model.mock.setChaos({ disconnectRate: 1 });
  const end = last(await run("count"));
  assert.equal(end.type, "RUN_ERROR");
  assert.ok(["truncated", "provider_error"].includes(end.code), end.code);
});

test("attachments arrive as parts", async () => {
  const image = { type: "image", source: { type: "data", value: "aGk=", mimeType: "image/png" } };
  const events = await run([{ type: "text", text: "look" }, image]);
  assert.equal(text(events), "You said: look <image_url>");
});

test("a suggestion is the one call that was asked for", async () => {
  const tool = { name: "copilotkitSuggest", description: "", parameters: { type: "object" } };
  const events = await run("hello", { tools: [tool], forwardedProps: { toolChoice: { type: "function", function: { name: tool.name } } } });
  assert.equal(ofType(events, "TOOL_CALL_START")[0].toolCallName, "copilotkitSuggest");
  assert.deepEqual((await model.requests(1, { suggestions: true }))[0].tool_choice, { type: "function", function: { name: "copilotkitSuggest" } });
});
