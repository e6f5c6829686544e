/** A model agent on the page: it edits the shared state while its answer streams, uses the page's tools, and can be stopped. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { startModel } from "../model/model.mjs";
import { house, TRANSPORTS } from "./house.mjs";

// The runtime that the house starts reads the model's address from the environment.
const model = await startModel();
after(() => model.stop());

const here = house();
const PLAN = {
  title: "A trip to Rome",
  steps: ["Book the train", "Find a room near the river", "Learn ten words of Italian"].map((title) => ({ title, status: "pending" })),
};

/** The messages of the request that was noted last. */
const told = async (model) => (await model.requests(1)).at(-1).messages;

for (const transport of TRANSPORTS) {
  const editor = { agent: "editor", transport };

  test(`${transport}: the plan grows on the page while the model still writes`, () =>
    here.visit(editor, async (page) => {
      await page.send("Plan a trip to Rome");
      await page.part("entry-title").nth(0).waitFor();
      assert.equal(await page.part("workspace").getAttribute("data-running"), "true", "the first entry is there before the run ends");
      assert.ok(!(await page.conversation()).includes("The plan has three steps"));
      await page.answers("The plan has three steps");
      await page.stateBecomes(PLAN);
      assert.equal(await page.part("state-change").count(), 4);
      assert.deepEqual(await page.part("state-outcome").allInnerTexts(), ["Version 2", "Version 3", "Version 4", "Version 5"]);
      await page.sees("Thought for");
      await page.reload();
      await page.answers("The plan has three steps");
      await page.stateBecomes(PLAN);
      assert.equal(await page.part("state-outcome").count(), 4, "the cards are there after a reload");
    }));

  test(`${transport}: a person's edits are in what the model is told next`, () =>
    here.visit(editor, async (page) => {
      await page.send("Plan a trip to Rome");
      await page.answers("The plan has three steps");
      await page.part("entry-title").nth(1).fill("Sleep at the station");
      await page.part("state-title").fill("Rome, in spring");
      await page.send("hello");
      await page.answers("You said: hello");
      await page.until(async () => (await told(model)).at(-2).content === "hello", "the model notes the last request");
      const messages = await told(model);
      assert.match(messages.at(-1).content, /Sleep at the station/);
      assert.match(messages[0].content, /“Rome, in spring”/, "the instructions are filled in anew");
      assert.match(messages[0].content, /The page's accent colour/, "what the page says of itself is among them");
    }));

  test(`${transport}: a tool of the page is called by the model and answered by the page`, () =>
    here.visit(editor, async (page) => {
      await page.send("paint it");
      await page.answers("The page answered: the page is teal now");
      assert.equal(await page.page.evaluate(() => document.documentElement.style.getPropertyValue("--brand")), "teal");
      await page.send("hello");
      await page.answers("You said: hello");
    }));

  test(`${transport}: stop reaches the model's answer and keeps what was said`, () =>
    here.visit(editor, async (page) => {
      await page.send("count please");
      await page.sees("1 2 3");
      await page.stop();
      await page.idle();
      assert.ok(!(await page.answer()).includes("500"));
      await page.send("hello");
      await page.answers("You said: hello");
    }));
}

test("a write that is refused is shown as what it is", () =>
  here.visit({ agent: "editor", transport: "rest" }, async (page) => {
    await page.send("do something wrong");
    await page.answers("I was told:");
    assert.match(await page.part("state-outcome").innerText(), /is not there/);
    await page.stateBecomes({ title: "Untitled plan", steps: [] });
  }));

test("an agent whose key is missing says which variable to set", () =>
  here.visit(
    { agent: "keyless", transport: "rest" },
    async (page) => {
      await page.send("hello");
      await page.part("notice").waitFor();
      assert.match(await page.part("notice").innerText(), /COAGENT_TEST_KEY_NOBODY_SETS/);
    },
    { expected: [/COAGENT_TEST_KEY_NOBODY_SETS/] },
  ));

for (const colorScheme of ["light", "dark"]) {
  for (const [device, viewport] of Object.entries({ desktop: { width: 1280, height: 860 }, phone: { width: 390, height: 844 } })) {
    test(`${device}-${colorScheme}: a model's work on the state fits the page`, () =>
      here.visit(
        { agent: "editor", transport: "rest" },
        async (page) => {
          await page.send("Plan a trip to Rome");
          await page.part("state-outcome").nth(1).waitFor();
          await page.picture(`llm-${device}-${colorScheme}-1-writing`);
          await page.answers("The plan has three steps");
          await page.send("do something wrong");
          await page.answers("I was told:");
          const over = await page.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          assert.equal(over, 0, "the page does not scroll sideways");
          await page.picture(`llm-${device}-${colorScheme}-2-done`);
        },
        { options: { colorScheme, viewport } },
      ));
  }
}
