/** What a person does on the example page, in that person's words; every wait is for something visible. */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import path from "node:path";

const PATIENCE_MS = 15_000;

export class ExamplePage {
  constructor(page) {
    this.page = page;
    page.setDefaultTimeout(PATIENCE_MS);
  }

  static async open(context, url) {
    const example = new ExamplePage(await context.newPage());
    await example.page.goto(url);
    await example.ready();
    return example;
  }

  part(testId) {
    return this.page.getByTestId(testId);
  }

  /** Connected, and the input takes text. */
  async ready() {
    await this.page.locator('[data-testid="connection"][data-state="connected"]').waitFor();
    await this.part("copilot-chat-textarea").waitFor();
  }

  async reload() {
    await this.page.reload();
    await this.ready();
  }

  /** Types and sends. CopilotKit leaves the text in the box while a connect is pending, so Enter is pressed until it goes. */
  async send(text) {
    await this.page.bringToFront();
    await this.idle();
    const box = this.part("copilot-chat-textarea");
    await box.fill(text);
    await this.until(async () => {
      await box.press("Enter");
      return (await box.inputValue()) === "";
    }, `'${text}' is sent`);
    await this.part("copilot-user-message").filter({ hasText: text }).first().waitFor();
  }

  /** Puts files into the composer and waits until they are read. */
  async attach(...files) {
    await this.page.locator('.chat input[type="file"]').setInputFiles(files);
  }

  async stop() {
    await this.page.locator('[data-testid="workspace"][data-running="true"]').waitFor();
    await this.part("copilot-send-button").click();
  }

  async idle() {
    await this.page.locator('[data-testid="workspace"][data-running="false"]').waitFor();
  }

  async running() {
    await this.page.locator('[data-testid="workspace"][data-running="true"]').waitFor();
  }

  /** The text of the latest answer. */
  async answer() {
    const answers = this.part("copilot-assistant-message");
    return (await answers.count()) === 0 ? "" : answers.last().innerText();
  }

  async conversation() {
    return this.part("copilot-message-list").innerText();
  }

  async sees(text) {
    await this.page.getByText(text, { exact: false }).first().waitFor();
  }

  async answers(text) {
    await this.until(async () => (await this.answer()).includes(text), `the answer has '${text}'`);
    await this.idle();
  }

  async state() {
    return JSON.parse(await this.part("state-json-text").textContent());
  }

  async stateBecomes(expected) {
    await this.until(async () => {
      try {
        assert.deepEqual(await this.state(), expected);
        return true;
      } catch (error) {
        if (error instanceof assert.AssertionError) return false;
        throw error;
      }
    }, () => this.state().then((state) => `the state is ${JSON.stringify(expected)}; it is ${JSON.stringify(state)}`));
  }

  async until(condition, what) {
    const end = Date.now() + PATIENCE_MS;
    while (Date.now() < end) {
      if (await condition()) return;
      await this.page.waitForTimeout(40);
    }
    const wish = typeof what === "string" ? what : await what();
    const conversation = await this.conversation().catch(() => "(no conversation)");
    assert.fail(`waited ${PATIENCE_MS} ms until ${wish}; the conversation is:\n${conversation}`);
  }

  /** A picture for people, only when SCREENSHOTS names a folder. */
  async picture(name) {
    const folder = process.env.SCREENSHOTS;
    if (!folder) return;
    mkdirSync(folder, { recursive: true });
    await this.page.waitForTimeout(400);
    await this.page.screenshot({ path: path.join(folder, `${name}.png`) });
  }
}
