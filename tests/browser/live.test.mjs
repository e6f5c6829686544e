/** The agent's state is live: edits of others and runs that this page did not start appear by themselves. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { house } from "./house.mjs";
import { ExamplePage } from "./page.mjs";

const here = house();
const planner = { agent: "planner", transport: "rest" };
const plan = (...steps) => ({ title: "Release plan", steps: steps.map(([title, done]) => ({ title, done })) });

test("an edit in one tab appears in the other without a run, and the next run there starts from it", () =>
  here.visit(planner, async (one, profile) => {
    await one.send("plan it");
    await one.answers("I wrote two steps");
    const two = await ExamplePage.open(profile.context, one.page.url());
    await two.idle();
    await two.stateBecomes(plan(["Write the release notes", false], ["Tag the build", false]));
    const runs = [];
    two.page.on("request", (request) => request.url().endsWith("/run") && runs.push(request.postDataJSON()));

    await one.part("entry-title").nth(1).fill("Tag the build twice");
    await two.stateBecomes(plan(["Write the release notes", false], ["Tag the build twice", false]));
    await two.page.getByLabel("Done: Write the release notes").check();
    const both = plan(["Write the release notes", true], ["Tag the build twice", false]);
    await one.stateBecomes(both);

    await two.send("hello");
    await two.answers("You said: hello");
    assert.equal(runs.length, 1);
    assert.deepEqual(runs[0].state, both, "the agent's own state has followed");
    assert.equal(typeof runs[0].forwardedProps.coagent.stateVersion, "number");
    await one.stateBecomes(both);
    await two.stateBecomes(both);
  }));

test("edits of a tab and of a run that goes on are both kept", () =>
  here.visit(planner, async (page) => {
    await page.send("plan it");
    await page.answers("I wrote two steps");
    await page.send("how is the weather?");
    await page.part("new-entry").fill("Bake a cake");
    await page.part("add-entry").click();
    await page.answers("21 degrees in Lisbon");
    await page.send("finish the first");
    await page.part("state-title").fill("Spring release");
    await page.answers("Write the release notes, is done");
    const state = { ...plan(["Write the release notes", true], ["Tag the build", false], ["Bake a cake", false]), title: "Spring release" };
    await page.stateBecomes(state);
    await page.reload();
    await page.stateBecomes(state);
  }));

test("a run that nobody here started is seen while it goes on", () =>
  here.visit(planner, async (page) => {
    await page.send("plan it");
    await page.answers("I wrote two steps");
    const threadId = await page.part("thread-id").getAttribute("title");
    const before = await page.conversation();
    await submit("planner", threadId, "once again, from elsewhere");
    await page.running();
    await page.sees("once again, from elsewhere");
    await page.answers("One more step");
    await page.idle();
    await page.stateBecomes(plan(["Write the release notes", false], ["Tag the build", false], ["Tell everyone", false]));
    const after = await page.conversation();
    assert.ok(after.startsWith(before), `what was there stays as it was:\n${before}\n--- became\n${after}`);
    assert.equal(after.slice(before.length).trim().replaceAll(/\s*\n\s*/g, "\n"), "once again, from elsewhere\nOne more step is in the list.");
    await page.send("hello");
    await page.answers("You said: hello");
    assert.equal(await page.part("copilot-user-message").count(), 3, "nothing is shown twice");
  }));

test("runs that nobody here started are seen, also those that write no state and those that come while another is shown", () =>
  here.visit(planner, async (page) => {
    await page.send("plan it");
    await page.answers("I wrote two steps");
    const threadId = await page.part("thread-id").getAttribute("title");
    const calm = await page.conversation();
    for (const prompt of ["from elsewhere", "how is the weather?", "hello there"]) await over(await submit("planner", threadId, prompt));
    await page.answers("You said: hello there");
    await page.idle();
    const shown = await page.conversation();
    assert.ok(shown.startsWith(calm), shown);
    for (const text of ["from elsewhere", "One more step", "how is the weather?", "21 degrees in Lisbon", "You said: hello there"]) {
      assert.equal(shown.split(text).length - 1, 1, `${text}, once:\n${shown}`);
    }
  }));

/** As a script or a timer would, which waits for nothing. */
async function submit(agent, threadId, prompt) {
  const response = await fetch(`${here.runtime().origin}/v1/agents/${agent}/runs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ thread_id: threadId, prompt }),
  });
  const answer = await response.json();
  assert.equal(response.status, 202, JSON.stringify(answer));
  return answer.run_id;
}

/** Follows a run to its end. */
async function over(runId) {
  const events = await fetch(`${here.runtime().origin}/v1/runs/${runId}/events`);
  assert.match(await events.text(), /RUN_FINISHED/);
}
