/** The first generation of CopilotKit's components, which opens a thread with several connects at once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { house, TRANSPORTS } from "./house.mjs";

const here = house();

/** Opens the classic chat for one test, then checks the console and where the requests went. */
async function classic(query, story, { expected = [], options = {} } = {}) {
  const profile = await here.browser().profile(options);
  try {
    const page = await profile.context.newPage();
    page.setDefaultTimeout(15_000);
    await page.goto(here.url({ ...query, ui: "classic" }));
    await page.getByTestId("classic").waitFor();
    await page.waitForLoadState("networkidle");
    await story(page);
    assert.deepEqual(profile.watch.errors.filter((text) => !expected.some((pattern) => pattern.test(text))), []);
    assert.deepEqual(profile.watch.foreign, []);
  } finally {
    await profile.close();
  }
}

const box = (page) => page.getByTestId("copilot-chat-textarea");

async function say(page, text) {
  await box(page).fill(text);
  await box(page).press("Enter");
}

async function picture(page, name) {
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/classic-${name}.png` });
}

for (const transport of TRANSPORTS) {
  const planner = { transport, agent: "planner" };

  test(`${transport}: the classic chat talks, shows the state and keeps both over a reload`, () =>
    classic(planner, async (page) => {
      await say(page, "plan it");
      await page.getByText("I wrote two steps").waitFor();
      await page.reload();
      await page.getByText("I wrote two steps").waitFor();
      await page.waitForFunction(() => document.querySelector('[data-testid="state-json-text"]')?.textContent.includes("Tag the build"));
      await picture(page, transport);
    }));

  test(`${transport}: the classic chat shows a question, and what is written meanwhile stays in the box`, () =>
    classic(planner, async (page) => {
      await say(page, "ship it");
      await page.getByTestId("interrupt").waitFor();
      await page.reload();
      await page.getByTestId("interrupt").waitFor();
      await page.getByPlaceholder("Answer the question first").waitFor();
      await say(page, "and the weather?");
      await page.getByTestId("notice").waitFor();
      assert.equal(await page.getByTestId("notice").innerText(), "Answer the question first. What you wrote stays in the box.");
      assert.equal(await box(page).inputValue(), "and the weather?");

      await page.getByTestId("approve").click();
      await page.getByText('The answer was resolved with {"approved":true}.').waitFor();
      await page.getByTestId("notice").waitFor({ state: "detached" });
      await page.getByTestId("interrupt").waitFor({ state: "detached" });
      await page.getByPlaceholder("Write a message").waitFor();
      await box(page).press("Enter");
      await page.getByText("21 degrees in Lisbon").waitFor();
    }));

  test(`${transport}: in the classic chat a question waits in its thread, and the others go on meanwhile`, () =>
    classic(planner, async (page) => {
      await say(page, "ship it");
      await page.getByTestId("interrupt").waitFor();
      await page.getByTestId("new-thread").click();
      await page.getByText("One decision is yours").waitFor({ state: "detached" });
      await page.waitForLoadState("networkidle");
      await say(page, "how is the weather?");
      await page.getByText("21 degrees in Lisbon").waitFor();
      await page.goBack();
      await page.getByTestId("interrupt").waitFor();
      await page.getByTestId("reject").click();
      await page.getByText('The answer was resolved with {"approved":false}.').waitFor();
    }));

  test(`${transport}: the classic chat shows an error of the agent as a sentence`, () =>
    classic(
      planner,
      async (page) => {
        await say(page, "break it");
        await page.getByTestId("notice").waitFor();
        assert.match(await page.getByTestId("notice").innerText(), /the warehouse did not answer/i);
      },
      { expected: [/the warehouse did not answer/i] },
    ));
}

for (const colorScheme of ["light", "dark"]) {
  test(`${colorScheme}: a question and a notice of the classic chat fit on a phone`, () =>
    classic(
      { agent: "planner", transport: "rest" },
      async (page) => {
        await say(page, "ship it");
        await page.getByTestId("interrupt").waitFor();
        await say(page, "and the weather?");
        await page.getByTestId("notice").waitFor();
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0);
        await picture(page, `question-phone-${colorScheme}`);
        await page.setViewportSize({ width: 1280, height: 860 });
        await picture(page, `question-desktop-${colorScheme}`);
      },
      { options: { colorScheme, viewport: { width: 390, height: 844 } } },
    ));
}
