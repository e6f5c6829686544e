/** What people write into definitions, however long or wrong: the pages hold it, and say where to look. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { house } from "./house.mjs";
import { startRuntime } from "./server.mjs";

const here = house();
const PLANNER = "agent: { kind: native, name: planner }\n";
const widths = [{ width: 1200, height: 800 }, { width: 360, height: 700 }];

/** Runs `story(page, runtime)` at each width, with a runtime of these definitions. */
async function pages(definitions, story) {
  const agents = mkdtempSync(path.join(tmpdir(), "coagent-words-"));
  for (const [name, text] of Object.entries(definitions)) {
    mkdirSync(path.dirname(path.join(agents, name)), { recursive: true });
    writeFileSync(path.join(agents, name), text);
  }
  const runtime = await startRuntime({ agents });
  try {
    for (const viewport of widths) {
      const profile = await here.browser().profile({ viewport });
      try {
        await story(await profile.context.newPage(), runtime);
        assert.deepEqual(profile.watch.errors, []);
      } finally {
        await profile.close();
      }
    }
  } finally {
    await runtime.stop();
    rmSync(agents, { recursive: true, force: true });
  }
}

test("long names and descriptions are cut off and can be read whole", () => {
  const long = `name: ${"N".repeat(300)}\ndescription: ${"Long words ".repeat(200)}${"W".repeat(400)}\n${PLANNER}`;
  return pages({ [`${"a".repeat(64)}.yaml`]: long }, async (page, runtime) => {
    for (const url of [runtime.origin, here.url({ runtimeUrl: runtime.runtimeUrl })]) {
      await page.goto(url);
      const more = page.getByTestId("more");
      await more.waitFor();
      await fits(page);
      const height = () => page.getByTestId("description").evaluate((node) => node.clientHeight);
      const cut = await height();
      assert.ok(cut < 120, `a few lines are shown: ${cut} px`);
      await more.click();
      assert.equal(await more.innerText(), "Show less");
      assert.ok((await height()) > cut);
      await fits(page);
    }
  });
});

test("suggestions are asked for once, when the thread's messages have come", () =>
  pages({ "solo.yaml": PLANNER }, async (page, runtime) => {
    const asked = [];
    page.on("request", (request) => request.url().endsWith("/suggest") && asked.push(request));
    await page.goto(here.url({ runtimeUrl: runtime.runtimeUrl, transport: "rest" }));
    await page.getByTestId("copilot-suggestion").first().waitFor();
    assert.equal(asked.length, 1);
    assert.equal(asked[0].failure(), null);
  }));

test("where no definition can be served, the page says so and where to look", () =>
  pages({ "one.yaml": "agent: { kind: nativ }\n" }, async (page, runtime) => {
    await page.goto(here.url({ runtimeUrl: runtime.runtimeUrl }));
    const said = page.getByTestId("no-usable-agents");
    await said.waitFor();
    assert.match(await said.innerText(), /one\.yaml:1:16\s*unknown kind nativ/);
    assert.equal(await said.getByRole("link").getAttribute("href"), `${runtime.origin}/`);
    await fits(page);
  }));

test("where there are no definitions, the page says how to begin", () =>
  pages({}, async (page, runtime) => {
    await page.goto(here.url({ runtimeUrl: runtime.runtimeUrl }));
    await page.getByTestId("no-agents").waitFor();
    await fits(page);
  }));

async function fits(page) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(over, 0, "the page does not scroll sideways");
}
