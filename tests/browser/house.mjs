/** The runtime, the page and the browser together, as every test here needs them. */
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { startBrowser } from "./browser.mjs";
import { ExamplePage } from "./page.mjs";
import { startRuntime } from "./server.mjs";
import { servePage } from "./static.mjs";

export const TRANSPORTS = ["rest", "single", "auto"];

/** Call once at the top of a test file; the answer has `visit`, which opens the page for one test. */
export function house() {
  const parts = {};
  before(async () => {
    parts.runtime = await startRuntime();
    parts.pages = await servePage();
    parts.browser = await startBrowser();
  });
  after(async () => {
    await parts.browser?.stop();
    await parts.pages?.stop();
    await parts.runtime?.stop();
  });

  return {
    runtime: () => parts.runtime,
    url: ({ runtimeUrl = parts.runtime.runtimeUrl, ...query } = {}) =>
      `${parts.pages.origin}/?${new URLSearchParams({ runtimeUrl, ...query })}`,
    browser: () => parts.browser,

    /**
     * Runs `story(page, profile)` in a profile of its own and then checks that no request left this machine and that
     * the console stayed clean, but for the errors that match one of `expected`.
     */
    async visit(query, story, { expected = [], options = {} } = {}) {
      const profile = await parts.browser.profile(options);
      try {
        const page = await ExamplePage.open(profile.context, this.url(query));
        await story(page, profile);
        const surprising = profile.watch.errors.filter((text) => !expected.some((pattern) => pattern.test(text)));
        assert.deepEqual(surprising, [], "the console shows no errors");
        assert.deepEqual(profile.watch.foreign, [], "no request leaves this machine");
      } finally {
        await profile.close();
      }
    },
  };
}
