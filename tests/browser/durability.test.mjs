/** A runtime that is stopped and started again: conversations, state and open questions are still there. */
import { test } from "node:test";
import { house } from "./house.mjs";
import { remembers } from "./server.mjs";

const here = house();

test("conversation, state and a waiting question survive a restart of the runtime", { skip: !remembers }, () =>
  here.visit({ agent: "planner", transport: "rest" }, async (page) => {
    await page.send("plan it");
    await page.answers("I wrote two steps");
    await page.part("entry-title").nth(0).fill("Write better notes");
    await page.send("ship it");
    await page.part("interrupt").waitFor();
    await here.runtime().restart();
    await page.reload();
    await page.sees("I wrote two steps");
    await page.stateBecomes({
      title: "Release plan",
      steps: [
        { title: "Write better notes", done: false },
        { title: "Tag the build", done: false },
      ],
    });
    await page.part("approve").click();
    await page.answers('The answer was resolved with {"approved":true}.');
  }));
