/** A model server for tests: aimock on a free port, with the answers that the agents of these tests need. */
import { LLMock } from "@copilotkit/aimock";

/** The variable that the definitions of test agents read its address from. */
const ADDRESS = "COAGENT_TEST_MODEL";

/**
 * Starts it and puts its address where a runtime that is started afterwards finds it. `chunkSize` and `latency` (in
 * milliseconds between chunks) make an answer slow enough to be watched.
 */
export async function startModel({ chunkSize = 12, latency = 25 } = {}) {
  const mock = new LLMock({ port: 0, chunkSize, latency });
  for (const { match, answer, ...options } of script) mock.on(match, answer, options);
  await mock.start();
  process.env[ADDRESS] = `${mock.url}/v1`;
  return {
    mock,
    /**
     * The bodies of the chat completions it was asked for, once there are `count`: it notes a request after its answer.
     * Those of suggestions come when they like and are left out, unless they are what is asked about.
     */
    async requests(count, { suggestions = false } = {}) {
      const wanted = ({ path, body }) => path.endsWith("/chat/completions") && asksForSuggestions(body) === suggestions;
      const end = Date.now() + 5_000;
      for (;;) {
        const bodies = mock.getRequests().filter(wanted).map(({ body }) => body);
        if (bodies.length >= count) return bodies;
        if (Date.now() > end) throw new Error(`the model was asked ${bodies.length} times, not ${count}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
    stop: () => mock.stop(),
  };
}

const step = (title) => ({ op: "add", path: "/steps/-", value: { title, status: "pending" } });
const call = (name, args) => ({ name, arguments: JSON.stringify(args) });

function asksForSuggestions({ tools }) {
  return tools?.[0]?.function.name === "copilotkitSuggest";
}

/** What the person said last, and the names of the tools whose results came after it. */
function turn({ messages }) {
  const from = messages.findLastIndex(({ role }) => role === "user");
  const calls = messages.slice(from + 1).flatMap((message) => message.tool_calls ?? []);
  const results = messages.slice(from + 1).filter(({ role }) => role === "tool");
  const name = (id) => calls.find((made) => made.id === id)?.function.name;
  return { said: textOf(messages[from]), results: results.map(({ tool_call_id, content }) => ({ tool: name(tool_call_id), content })) };
}

function textOf(message) {
  const content = message?.content ?? "";
  return typeof content === "string" ? content : content.map((part) => part.text ?? `<${part.type}>`).join(" ");
}

/** Matches a turn whose person said `words`, after `rounds` results. */
const when = (words, rounds) => ({
  predicate: (request) => {
    const { said, results } = turn(request);
    return said.includes(words) && results.length === rounds;
  },
});

const script = [
  {
    match: { predicate: asksForSuggestions },
    answer: { toolCalls: [call("copilotkitSuggest", { suggestions: [{ title: "Plan Rome", message: "Plan a trip to Rome" }] })] },
  },
  {
    match: when("Rome", 0),
    answer: {
      reasoning: "A title first, then one step after the other, so that the person can follow.",
      content: "I am writing the plan. ",
      toolCalls: [call("state_set", { path: "/title", value: "A trip to Rome" }), call("state_patch", { ops: [step("Book the train")] })],
    },
  },
  { match: when("Rome", 2), answer: { toolCalls: [call("state_patch", { ops: [step("Find a room near the river")] })] } },
  { match: when("Rome", 3), answer: { toolCalls: [call("state_patch", { ops: [step("Learn ten words of Italian")] })] } },
  { match: when("Rome", 4), answer: { content: "The plan has three steps. Change them as you like." } },
  { match: when("wrong", 0), answer: { toolCalls: [call("state_patch", { ops: [{ op: "remove", path: "/nothing/here" }] })] } },
  { match: when("wrong", 1), answer: (request) => ({ content: `I was told: ${turn(request).results[0].content}` }) },
  { match: when("paint", 0), answer: { toolCalls: [call("set_theme_color", { color: "teal" })] } },
  { match: when("paint", 1), answer: (request) => ({ content: `The page answered: ${turn(request).results[0].content}` }) },
  { match: when("count", 0), answer: { content: Array.from({ length: 500 }, (_, index) => index + 1).join(" ") } },
  { match: { predicate: () => true }, answer: (request) => ({ content: `You said: ${turn(request).said}` }) },
];
