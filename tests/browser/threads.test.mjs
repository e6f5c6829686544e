/** Threads to go back to, suggestions to press, files to send: on every transport. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { house, TRANSPORTS } from "./house.mjs";

const here = house();
const names = (page) => page.part("thread-name").allInnerTexts();
const row = (page, name) => page.part("thread").filter({ hasText: name });

/** The list belongs to the agent, not to the browser: each test begins with none. */
async function clear() {
  const answer = await fetch(`${here.runtime().runtimeUrl}/threads/clear`, { method: "POST" });
  assert.equal(answer.status, 204);
}

/** The list shows changes before the runtime has confirmed them; this waits for both. */
async function listed(page, expected) {
  await page.page.locator('[data-testid="threads"][aria-busy="false"]').waitFor();
  await page.until(async () => JSON.stringify(await names(page)) === JSON.stringify(expected), async () => `the threads are ${expected}; they are ${await names(page)}`);
}

for (const transport of TRANSPORTS) {
  const planner = { transport, agent: "planner" };

  test(`${transport}: threads are listed by their first words, opened, renamed and deleted`, async () => {
    await clear();
    await here.visit(planner, async (page) => {
      await page.part("no-threads").waitFor();
      await page.send("bread and butter");
      await page.answers("You said: bread and butter");
      await listed(page, ["bread and butter"]);
      await page.part("new-thread").click();
      await page.part("welcome").waitFor();
      await page.send("a second matter");
      await page.answers("You said: a second matter");
      await listed(page, ["a second matter", "bread and butter"]);

      await page.part("thread-name").nth(1).click();
      await page.answers("You said: bread and butter");
      assert.equal(await page.page.locator('[data-testid="thread"][data-current="true"]').innerText().then((text) => text.split("\n")[0]), "bread and butter");

      await row(page, "bread and butter").hover();
      await row(page, "bread and butter").getByTestId("rename-thread").click();
      await page.part("thread-name-input").fill("Groceries");
      await page.part("thread-name-input").press("Enter");
      await listed(page, ["a second matter", "Groceries"]);
      await page.reload();
      await page.answers("You said: bread and butter");
      await listed(page, ["Groceries", "a second matter"]);

      await row(page, "a second matter").hover();
      await row(page, "a second matter").getByTestId("delete-thread").click();
      await page.part("confirm-delete").click();
      await listed(page, ["Groceries"]);
      await row(page, "Groceries").hover();
      await row(page, "Groceries").getByTestId("delete-thread").click();
      await page.part("confirm-delete").click();
      await page.part("welcome").waitFor();
      await page.part("no-threads").waitFor();
      assert.equal(await page.part("copilot-user-message").count(), 0);
    });
  });

  test(`${transport}: suggestions are offered, and pressing one says it`, async () => {
    await clear();
    await here.visit(planner, async (page) => {
      const pills = page.part("copilot-suggestion");
      const expected = ["Plan the release", "How is the weather?"];
      const offered = () =>
        page.until(async () => String(await pills.allInnerTexts()) === String(expected), async () => `${expected} are offered; it is ${await pills.allInnerTexts()}`);
      // The single route offers them after the first answer.
      if (transport === "single") {
        await page.send("plan the release");
        await page.answers("I wrote two steps");
      }
      await offered();
      await pills.nth(1).click();
      await page.answers("21 degrees in Lisbon");
      await offered();
      await listed(page, [transport === "single" ? "plan the release" : "how is the weather?"]);
    });
  });

  test(`${transport}: a picture and a text go along as parts of the message, and come back after a reload`, async () => {
    await clear();
    await here.visit(planner, async (page) => {
      await page.attach({ name: "dot.png", mimeType: "image/png", buffer: DOT }, { name: "list.txt", mimeType: "text/plain", buffer: Buffer.from("milk") });
      await page.send("what are these?");
      await page.answers("You said: what are these?");
      const thread = await page.part("thread-id").getAttribute("title");
      const stored = await fetch(`${here.runtime().runtimeUrl}/threads/${thread}/messages`).then((answer) => answer.json());
      const parts = stored.messages[0].content;
      assert.deepEqual(parts.map((part) => [part.type, part.text ?? part.source.mimeType]), [
        ["text", "what are these?"],
        ["image", "image/png"],
        ["document", "text/plain"],
      ]);
      assert.equal(parts[1].source.value, DOT.toString("base64"));
      assert.equal(Buffer.from(parts[2].source.value, "base64").toString(), "milk");
      await page.reload();
      await page.answers("You said: what are these?");
      const picture = page.part("copilot-user-message").locator("img");
      await picture.first().waitFor();
      assert.ok((await picture.first().getAttribute("src")).endsWith(DOT.toString("base64")));
    });
  });
}

test("a file that is too large or of another kind is refused with a sentence", () =>
  here.visit({ agent: "planner", transport: "rest" }, async (page) => {
    await page.attach({ name: "film.mp4", mimeType: "video/mp4", buffer: Buffer.from("x") });
    await page.part("notice").waitFor();
    assert.match(await page.part("notice").innerText(), /film\.mp4/);
    await page.part("close-notices").click();
    await page.attach({ name: "large.txt", mimeType: "text/plain", buffer: Buffer.alloc(9 << 20, "x") });
    await page.part("notice").waitFor();
    assert.match(await page.part("notice").innerText(), /large\.txt[\s\S]*maximum size/);
  }));

test("a thread whose run is live cannot be deleted, and an archived one is not listed", async () => {
  await clear();
  await here.visit({ agent: "storyteller", transport: "rest" }, async (page) => {
    await page.send("slow please");
    await page.sees("one two three");
    await listed(page, ["New conversation"]);
    await row(page, "New conversation").hover();
    assert.ok(await page.part("delete-thread").isDisabled());
    await page.stop();
    await page.idle();
    await listed(page, ["slow please"]);
    const thread = await page.part("thread-id").getAttribute("title");
    await fetch(`${here.runtime().runtimeUrl}/threads/${thread}/archive`, { method: "POST" });
    await page.reload();
    await page.part("no-threads").waitFor();
    await page.sees("one two three");
  });
});

/** A picture of one pixel. */
const DOT = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");
