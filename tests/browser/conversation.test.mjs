/** Talking to an agent: every transport, stop, reload in the middle, errors, two tabs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { house, TRANSPORTS } from "./house.mjs";
import { ExamplePage } from "./page.mjs";

const here = house();
const LAST_WORDS = "and that was the end of the story.";

for (const transport of TRANSPORTS) {
  const planner = { transport, agent: "planner" };
  const storyteller = { transport, agent: "storyteller" };

  test(`${transport}: a message is answered and is still there after a reload`, () =>
    here.visit(planner, async (page) => {
      await page.send("hello there");
      await page.answers("You said: hello there");
      await page.reload();
      await page.answers("You said: hello there");
      assert.equal(await page.part("copilot-user-message").count(), 1);
      await page.send("what else?");
      await page.answers("You said: what else?");
      assert.equal(await page.part("copilot-user-message").count(), 2);
    }));

  test(`${transport}: stop ends the run at once and keeps what was said`, () =>
    here.visit(storyteller, async (page) => {
      await page.send("slow please");
      await page.sees("one two three");
      await page.stop();
      await page.idle();
      const said = await page.answer();
      assert.ok(!said.includes(LAST_WORDS), "the story was cut short");
      await page.reload();
      await page.until(async () => (await page.answer()).includes("one two three"), "the part that was said is replayed");
      assert.ok(!(await page.answer()).includes(LAST_WORDS));
      await page.idle();
      await page.send("hello");
      await page.answers("You said: hello");
    }));

  test(`${transport}: a run goes on while the page reloads`, () =>
    here.visit(storyteller, async (page) => {
      await page.send("slow please");
      await page.sees("one two three");
      await page.reload();
      await page.running();
      await page.answers(LAST_WORDS);
      assert.equal((await page.answer()).match(/one two three/g).length, 3, "nothing is said twice");
      assert.equal(await page.part("copilot-user-message").count(), 1);
    }));

  test(`${transport}: an error of the agent is shown as a sentence`, () =>
    here.visit(
      planner,
      async (page) => {
        await page.send("break it");
        await page.part("notice").waitFor();
        assert.match(await page.part("notice").innerText(), /the warehouse did not answer/i);
        await page.idle();
        await page.send("hello");
        await page.answers("You said: hello");
        assert.equal(await page.part("notice").count(), 0, "the next run clears it");
      },
      { expected: [/the warehouse did not answer/i] },
    ));

  test(`${transport}: a second tab sees the live run, and stop in the first ends it in both`, () =>
    here.visit(storyteller, async (first, { context }) => {
      await first.send("slow please");
      await first.sees("one two three");
      const second = await first.constructor.open(context, first.page.url());
      await second.running();
      await second.sees("one two three");
      await first.stop();
      await first.idle();
      await second.idle();
      await second.until(async () => (await second.answer()) === (await first.answer()), "both tabs show the same text");
      assert.ok(!(await second.answer()).includes(LAST_WORDS));
    }));
}

test("a second run in a busy thread is refused with a sentence, and the first goes on", () =>
  here.visit({ agent: "storyteller", transport: "rest" }, async (first) => {
    await first.send("hello");
    await first.answers("You said: hello");
    // A page that hears of the run shows it, and sends when it is over; this one does not hear of it.
    const deaf = await here.browser().profile();
    try {
      await deaf.context.routeWebSocket(/./, () => {});
      const second = await ExamplePage.open(deaf.context, first.page.url());
      await second.answers("You said: hello");
      await first.send("slow please");
      await first.sees("one two three");
      await second.send("me too");
      await second.part("notice").first().waitFor();
      assert.match(await second.part("notice").first().innerText(), /another run is still working/i);
      await first.answers(LAST_WORDS);
    } finally {
      await deaf.close();
    }
  }));

test("a new thread begins empty, and going back finds the old one", () =>
  here.visit({ agent: "planner", transport: "rest" }, async (page) => {
    await page.send("hello");
    await page.answers("You said: hello");
    await page.part("new-thread").click();
    await page.part("welcome").waitFor();
    await page.send("good morning");
    await page.answers("You said: good morning");
    await page.page.goBack();
    await page.answers("You said: hello");
  }));

test("the agent picker changes the agent and keeps each conversation", () =>
  here.visit({ agent: "planner", transport: "rest" }, async (page) => {
    await page.send("hello");
    await page.answers("You said: hello");
    await page.part("agent-picker").selectOption("storyteller");
    await page.part("welcome").waitFor();
    await page.part("agent-picker").selectOption("planner");
    await page.answers("You said: hello");
    assert.equal((await page.conversation()).split("You said: hello").length, 2, "what the page had is not shown twice");
  }));

test("a thread that a link opened is found again through the agent picker", () =>
  here.visit({ agent: "planner", thread: `linked-${crypto.randomUUID()}`, transport: "rest" }, async (page) => {
    const thread = await page.part("thread-id").getAttribute("title");
    assert.match(thread, /^linked-/);
    await page.send("hello");
    await page.answers("You said: hello");
    await page.part("agent-picker").selectOption("storyteller");
    await page.part("welcome").waitFor();
    await page.part("agent-picker").selectOption("planner");
    await page.answers("You said: hello");
    assert.equal(await page.part("thread-id").getAttribute("title"), thread);
  }));

test("a runtime that does not answer is named, and nothing crashes", async () => {
  const profile = await here.browser().profile();
  try {
    const page = await profile.context.newPage();
    await page.goto(here.url({ runtimeUrl: "http://127.0.0.1:9/api/copilotkit", transport: "rest" }));
    await page.getByTestId("runtime-lost").waitFor();
    assert.match(await page.getByTestId("runtime-lost").innerText(), /127\.0\.0\.1:9/);
    assert.deepEqual(profile.watch.foreign, []);
  } finally {
    await profile.close();
  }
});

test("an agent that does not exist is named, and another can be chosen", () =>
  here.visit({ agent: "planner", transport: "rest" }, async (page) => {
    await page.page.goto(here.url({ agent: "nobody", transport: "rest" }));
    await page.part("unknown-agent").waitFor();
    await page.part("agent-picker").selectOption("storyteller");
    await page.send("hello");
    await page.answers("You said: hello");
  }));
