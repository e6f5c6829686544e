/** How the page and the start page look: nothing overflows on any width, in light and dark; pictures when SCREENSHOTS is set. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { house } from "./house.mjs";

const here = house();
const widths = { desktop: { width: 1280, height: 860 }, phone: { width: 390, height: 844 } };

for (const colorScheme of ["light", "dark"]) {
  for (const [device, viewport] of Object.entries(widths)) {
    const name = `${device}-${colorScheme}`;
    const options = { colorScheme, viewport };

    test(`${name}: the example page fits`, () =>
      here.visit(
        { agent: "planner", transport: "rest" },
        async (page) => {
          await page.picture(`${name}-1-empty`);
          await page.send("plan it");
          await page.answers("I wrote two steps");
          await fits(page.page);
          await page.picture(`${name}-2-plan`);
          await page.send("how is the weather?");
          await page.answers("21 degrees in Lisbon");
          await page.send("another colour please");
          await page.answers("The page answered");
          await page.picture(`${name}-3-tools`);
          await page.send("ship it");
          await page.part("interrupt").waitFor();
          assert.ok(!(await page.part("copilot-suggestions").isVisible()), "a question stands alone");
          await fits(page.page);
          await page.picture(`${name}-4-question`);
          await page.part("copilot-chat-textarea").fill("and the weather?");
          await page.part("copilot-chat-textarea").press("Enter");
          await page.part("notice").waitFor();
          await fits(page.page);
          await page.picture(`${name}-4-waits`);
          await page.part("copilot-chat-textarea").fill("");
          await page.part("approve").click();
          await page.answers("resolved");
          await page.send("break it");
          await page.part("notice").waitFor();
          await fits(page.page);
          await page.picture(`${name}-5-error`);
          if (device === "phone") {
            await page.part("tab-state").click();
            await fits(page.page);
            await page.picture(`${name}-6-state`);
          }
          await page.part("new-thread").click();
          await page.part("welcome").waitFor();
          if (device === "phone") await page.part("tab-threads").click();
          await page.part("thread").first().hover();
          await fits(page.page);
          await page.picture(`${name}-7-threads`);
          await page.part("rename-thread").first().click();
          await page.picture(`${name}-8-rename`);
          await page.part("thread-name-input").press("Escape");
          await page.part("thread").first().hover();
          await page.part("delete-thread").first().click();
          await fits(page.page);
          await page.picture(`${name}-9-delete`);
          if (device === "phone") await page.part("tab-chat").click();
          await page.attach({ name: "a note with a rather long name.txt", mimeType: "text/plain", buffer: Buffer.from("milk") });
          await page.part("copilot-attachment-queue").waitFor();
          assert.ok(!(await page.part("copilot-suggestions").isVisible()), "nothing lies over the file");
          await fits(page.page);
          await page.picture(`${name}-A-file`);
        },
        { options, expected: [/the warehouse did not answer/i] },
      ));

    test(`${name}: the start page fits and lists the agents`, async () => {
      const profile = await here.browser().profile(options);
      try {
        const page = await profile.context.newPage();
        await page.goto(here.runtime().origin);
        await page.getByTestId("agent").first().waitFor();
        assert.deepEqual(await page.getByTestId("agent-id").allInnerTexts(), ["editor", "keyless", "planner", "storyteller"]);
        assert.match(await page.getByTestId("runtime-url").innerText(), /^http:\/\/127\.0\.0\.1:\d+\/api\/copilotkit$/);
        assert.match(await page.getByTestId("missing").innerText(), /^Cannot run yet: .*COAGENT_TEST_KEY_NOBODY_SETS/);
        assert.doesNotMatch(await page.getByTestId("curl").innerText(), /\/agent\/keyless\/run/, "one that can run is shown first");
        await page.getByTestId("try").nth(3).click();
        assert.match(await page.getByTestId("curl").innerText(), /\/agent\/storyteller\/run/);
        await fits(page);
        if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}-start.png`, fullPage: true });
        assert.deepEqual(profile.watch.errors, []);
        assert.deepEqual(profile.watch.foreign, []);
      } finally {
        await profile.close();
      }
    });
  }
}

async function fits(page) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(over, 0, "the page does not scroll sideways");
}
