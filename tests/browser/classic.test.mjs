/** The first generation of CopilotKit's components, which opens a thread with several connects at once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { house, TRANSPORTS } from "./house.mjs";

const here = house();

for (const transport of TRANSPORTS) {
  test(`${transport}: the classic chat talks, shows the state and keeps both over a reload`, async () => {
    const profile = await here.browser().profile();
    try {
      const page = await profile.context.newPage();
      page.setDefaultTimeout(15_000);
      await page.goto(here.url({ agent: "planner", transport, ui: "classic" }));
      await page.getByTestId("classic").waitFor();
      await page.waitForLoadState("networkidle");
      const box = page.getByPlaceholder("Write a message");
      await box.fill("plan it");
      await box.press("Enter");
      await page.getByText("I wrote two steps").waitFor();
      await page.reload();
      await page.getByText("I wrote two steps").waitFor();
      await page.waitForFunction(() => document.querySelector('[data-testid="state-json-text"]')?.textContent.includes("Tag the build"));
      if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/classic-${transport}.png` });
      assert.deepEqual(profile.watch.errors, []);
      assert.deepEqual(profile.watch.foreign, []);
    } finally {
      await profile.close();
    }
  });
}
