/** Speech on the page: what the browser records becomes text in the box, through the API that the runtime was given. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, test } from "node:test";
import { house, TRANSPORTS } from "./house.mjs";

/** The requests of the transcription API, and what it answers them. */
const heard = [];
const answers = { status: 200, body: { text: "water the roses" } };
const api = createServer(async (request, response) => {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  heard.push({ url: request.url, form: Buffer.concat(pieces) });
  response.writeHead(answers.status, { "content-type": "application/json" }).end(JSON.stringify(answers.body));
});
await new Promise((listening) => api.listen(0, "127.0.0.1", listening));
after(() => api.close());
// The runtime that the house starts reads the API's address from the environment.
process.env.COAGENT_TRANSCRIPTION_URL = `http://127.0.0.1:${api.address().port}/v1`;

const here = house();

/** Presses the microphone, waits until sound was recorded, and presses the tick. */
async function speak(page, profile) {
  await profile.context.addInitScript(() => {
    window.recorded = 0;
    const start = MediaRecorder.prototype.start;
    MediaRecorder.prototype.start = function (...given) {
      this.addEventListener("dataavailable", ({ data }) => (window.recorded += data.size));
      return start.apply(this, given);
    };
  });
  await page.reload();
  await page.part("copilot-start-transcribe-button").click();
  await page.part("copilot-finish-transcribe-button").waitFor();
  await page.until(() => page.page.evaluate(() => window.recorded > 2000), "two kilobytes of sound are recorded");
  await page.picture("voice-recording");
  await page.part("copilot-finish-transcribe-button").click();
}

for (const transport of TRANSPORTS) {
  test(`${transport}: a recording of the microphone becomes text that can be sent`, () =>
    here.visit({ agent: "planner", transport }, async (page, profile) => {
      heard.length = 0;
      await speak(page, profile);
      await page.until(async () => (await page.part("copilot-chat-textarea").inputValue()) === "water the roses", "the text is in the box");
      assert.equal(heard.length, 1);
      assert.equal(heard[0].url, "/v1/audio/transcriptions");
      assert.ok(heard[0].form.includes(Buffer.from([0x1a, 0x45, 0xdf, 0xa3])), "what arrives is WebM, whole from its first bytes");
      assert.match(heard[0].form.toString("latin1"), /filename="recording.webm"\r\nContent-Type: audio\/webm;codecs=opus/i);
      await page.part("copilot-chat-textarea").press("Enter");
      await page.answers("You said: water the roses");
    }));
}

test("a recording that is not taken is told on the page, and nothing is lost of what was written", () =>
  here.visit(
    { agent: "planner", transport: "rest" },
    async (page, profile) => {
      Object.assign(answers, { status: 429, body: { error: { message: "slow down" } } });
      after(() => Object.assign(answers, { status: 200, body: { text: "water the roses" } }));
      await speak(page, profile);
      await page.sees("Too many requests. Please wait a moment.");
      await page.send("then I write it");
      await page.answers("You said: then I write it");
    },
    { expected: [/429/, /Transcription failed/] },
  ));
