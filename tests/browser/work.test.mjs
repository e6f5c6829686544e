/** Working with an agent: its state, its tools, the page's tools, its questions, its steps. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { house, TRANSPORTS } from "./house.mjs";

const here = house();

for (const transport of TRANSPORTS) {
  const planner = { transport, agent: "planner" };

  test(`${transport}: state holds over three runs with a person's edits between them, and after a reload`, () =>
    here.visit(planner, async (page) => {
      await page.send("plan it");
      await page.answers("I wrote two steps");
      await page.stateBecomes({
        title: "Release plan",
        steps: [
          { title: "Write the release notes", done: false },
          { title: "Tag the build", done: false },
        ],
      });

      await page.part("entry-title").nth(1).fill("Tag the build twice");
      await page.part("new-entry").fill("Bake a cake");
      await page.part("add-entry").click();
      await page.send("finish the first");
      await page.answers("Write the release notes, is done");
      await page.stateBecomes({
        title: "Release plan",
        steps: [
          { title: "Write the release notes", done: true },
          { title: "Tag the build twice", done: false },
          { title: "Bake a cake", done: false },
        ],
      });

      await page.part("state-title").fill("Spring release");
      await page.part("remove-entry").nth(2).click();
      await page.page.getByLabel("Done: Tag the build twice").check();
      await page.send("once again");
      await page.answers("One more step");
      const final = {
        title: "Spring release",
        steps: [
          { title: "Write the release notes", done: true },
          { title: "Tag the build twice", done: true },
          { title: "Tell everyone", done: false },
        ],
      };
      await page.stateBecomes(final);
      await page.reload();
      await page.idle();
      await page.stateBecomes(final);
      await page.send("hello");
      await page.answers("You said: hello");
      await page.stateBecomes(final);
    }));

  test(`${transport}: steps and reasoning of a run are shown`, () =>
    here.visit(planner, async (page) => {
      await page.send("plan it");
      await page.answers("I wrote two steps");
      const steps = page.part("step");
      assert.deepEqual(await steps.locator("span").allInnerTexts(), ["Understand the request", "Write the list"]);
      assert.deepEqual(await steps.evaluateAll((nodes) => nodes.map((node) => node.dataset.state)), ["done", "done"]);
      await page.sees("Thought for");
      await page.reload();
      await page.answers("I wrote two steps");
      assert.deepEqual(await steps.evaluateAll((nodes) => nodes.map((node) => node.dataset.state)), ["done", "done"]);
      await page.sees("Thought for");
    }));

  test(`${transport}: a tool of the agent is shown with its result`, () =>
    here.visit(planner, async (page) => {
      await page.send("how is the weather?");
      await page.answers("21 degrees in Lisbon");
      const card = page.page.locator('[data-testid="tool-call"][data-tool="get_weather"]');
      await card.and(page.page.locator('[data-status="complete"]')).waitFor();
      assert.match(await card.innerText(), /21°[\s\S]*Light clouds/);
      await page.reload();
      await page.answers("21 degrees in Lisbon");
      assert.match(await card.innerText(), /21°[\s\S]*Light clouds/);
    }));

  test(`${transport}: a tool of the page runs in the page, and its result goes back to the agent`, () =>
    here.visit(planner, async (page) => {
      const runs = [];
      page.page.on("request", (request) => {
        const body = request.method() === "POST" ? request.postDataJSON() : null;
        const input = request.url().endsWith("/run") || body?.method === "agent/run" ? (body.body ?? body) : null;
        // On the single route suggestions are asked for as runs.
        if (input && input.tools[0]?.name !== "copilotkitSuggest") runs.push(input);
      });
      await page.send("another colour please");
      await page.answers("The page answered: the page is teal now");
      assert.equal(await page.page.evaluate(() => document.documentElement.style.getPropertyValue("--brand")), "teal");
      assert.equal(runs.length, 2, "the call's run and its follow-up");
      assert.equal(runs[1].messages.at(-1).role, "tool");
      assert.notEqual(runs[0].runId, runs[1].runId);
      await page.reload();
      await page.answers("The page answered: the page is teal now");
      await page.idle();
      assert.equal(runs.length, 2, "a reload does not call it again");
    }));

  const answers = [
    { button: "approve", said: 'The answer was resolved with {"approved":true}.' },
    { button: "reject", said: 'The answer was resolved with {"approved":false}.' },
    { button: "dismiss", said: "The answer was cancelled with null." },
  ];
  for (const { button, said } of answers) {
    test(`${transport}: a question of the agent is answered with ${button}`, () =>
      here.visit(planner, async (page) => {
        await page.send("ship it");
        await page.part("interrupt").waitFor();
        assert.match(await page.part("interrupt").innerText(), /Ship it\?/);
        await page.part(button).click();
        await page.answers(said);
        assert.equal(await page.part("interrupt").count(), 0);
        await page.reload();
        await page.answers(said);
        assert.equal(await page.part("interrupt").count(), 0, "an answered question does not come back");
      }));
  }

  test(`${transport}: a question that waits is still there after a reload`, () =>
    here.visit(planner, async (page) => {
      await page.send("ship it");
      await page.part("interrupt").waitFor();
      await page.reload();
      await page.part("interrupt").waitFor();
      await page.part("approve").click();
      await page.answers('The answer was resolved with {"approved":true}.');
      assert.equal(await page.part("copilot-user-message").count(), 1);
    }));

  test(`${transport}: what is written while a question waits stays in the box, and can be sent when it is answered`, () =>
    here.visit(planner, async (page) => {
      const box = page.part("copilot-chat-textarea");
      await page.send("ship it");
      await page.part("interrupt").waitFor();
      assert.equal(await box.getAttribute("placeholder"), "Answer the question first");
      await box.fill("and the weather?");
      await box.press("Enter");
      await page.part("notice").waitFor();
      assert.equal(await page.part("notice").innerText(), "Answer the question first. What you wrote stays in the box.");
      assert.equal(await box.inputValue(), "and the weather?");
      assert.ok(await page.part("copilot-send-button").isDisabled());
      assert.equal(await page.part("copilot-user-message").count(), 1);

      await page.part("approve").click();
      await page.answers('The answer was resolved with {"approved":true}.');
      assert.equal(await page.part("notice").count(), 0, "the next run clears it");
      assert.equal(await box.inputValue(), "and the weather?");
      await box.press("Enter");
      await page.answers("21 degrees in Lisbon");
    }));

  test(`${transport}: a question waits in its thread, and the others go on meanwhile`, () =>
    here.visit(planner, async (page) => {
      await page.send("ship it");
      await page.part("interrupt").waitFor();
      await page.part("new-thread").click();
      await page.part("welcome").waitFor();
      await page.send("how is the weather?");
      await page.answers("21 degrees in Lisbon");
      assert.equal(await page.part("interrupt").count(), 0);
      assert.equal(await page.part("notice").count(), 0);
      await page.page.goBack();
      await page.part("interrupt").waitFor();
      await page.sees("One decision is yours");

      await page.part("agent-picker").selectOption("storyteller");
      await page.part("welcome").waitFor();
      await page.part("agent-picker").selectOption("planner");
      await page.part("interrupt").waitFor();
      await page.part("approve").click();
      await page.answers('The answer was resolved with {"approved":true}.');
      assert.equal(await page.part("notice").count(), 0);
    }));
}

test("an answer that does not get through can be given again after a reload, and nothing is sent before", () =>
  here.visit(
    { agent: "planner", transport: "rest" },
    async (page) => {
      await page.send("ship it");
      await page.part("interrupt").waitFor();
      await page.page.route("**/agent/planner/run", (route) => route.abort());
      await page.part("approve").click();
      await page.sees("The runtime cannot be reached.");
      await page.part("interrupt").waitFor({ state: "detached" });
      await page.page.unroute("**/agent/planner/run");
      await page.part("copilot-chat-textarea").fill("hello?");
      await page.part("copilot-chat-textarea").press("Enter");
      await page.sees("If you do not see it, reload the page.");
      assert.equal(await page.part("copilot-user-message").count(), 1);
      await page.reload();
      await page.part("approve").click();
      await page.answers('The answer was resolved with {"approved":true}.');
    },
    { expected: [/ERR_FAILED/, /Failed to fetch/] },
  ));

test("an agent can point at an entry of its list", () =>
  here.visit({ agent: "planner", transport: "rest" }, async (page) => {
    await page.send("plan it");
    await page.answers("I wrote two steps");
    await page.send("point at one");
    await page.answers("The second entry, Tag the build, is marked");
    assert.deepEqual(await page.part("entry").evaluateAll((nodes) => nodes.map((node) => node.dataset.highlight)), ["false", "true"]);
  }));

test("the document can be edited as JSON", () =>
  here.visit({ agent: "planner", transport: "rest" }, async (page) => {
    await page.send("plan it");
    await page.answers("I wrote two steps");
    await page.part("state-json").locator("summary").click();
    await page.part("edit-json").click();
    await page.part("json-draft").fill('{ "title": "By hand", "steps": [], "extra": { "deep": [1, 2] } }');
    await page.part("apply-json").click();
    await page.send("hello");
    await page.answers("You said: hello");
    await page.stateBecomes({ title: "By hand", steps: [], extra: { deep: [1, 2] } });
  }));
