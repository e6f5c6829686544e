/** One Chromium for a test file, which watches every page it opens for console errors and for requests that leave this machine. */
import { chromium } from "playwright-core";

const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];
const loopback = new Set(["127.0.0.1", "localhost", "[::1]"]);

export async function startBrowser() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags });
  return {
    /** A fresh profile, so that nothing is left of an earlier test. `options` are Playwright's context options. */
    async profile(options = {}) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
      const watch = { errors: [], foreign: [] };
      context.on("page", (page) => {
        page.on("console", (message) => message.type() === "error" && watch.errors.push(message.text()));
        page.on("pageerror", (error) => watch.errors.push(String(error)));
        page.on("request", (request) => {
          const url = new URL(request.url());
          if (/^(https?|wss?):$/.test(url.protocol) && !loopback.has(url.hostname)) watch.foreign.push(request.url());
        });
      });
      return { context, watch, close: () => context.close() };
    },
    stop: () => browser.close(),
  };
}
