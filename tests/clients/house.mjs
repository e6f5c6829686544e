/** The built runtime with the agents of this folder, and what the tests ask of clients. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before } from "node:test";
import path from "node:path";
import { startRuntime } from "../browser/server.mjs";

const PATIENCE_MS = 15_000;

/** Call once at the top of a test file. */
export function house() {
  const parts = {};
  before(async () => {
    parts.runtime = await startRuntime({ agents: path.join(import.meta.dirname, "agents") });
  });
  after(() => parts.runtime?.stop());
  return {
    url: () => parts.runtime.runtimeUrl,
    /** Ends the process and starts another one on the same store. */
    restart: () => parts.runtime.restart(),
    async get(route) {
      const response = await fetch(`${parts.runtime.runtimeUrl}${route}`);
      assert.equal(response.status, 200);
      return response.json();
    },
  };
}

export const user = (content) => ({ id: randomUUID(), role: "user", content });

/** The conversation as a person reads it: who said what, tools by name. */
export const words = (messages) =>
  messages.filter(({ role }) => role !== "activity").map((message) => {
    const calls = message.toolCalls?.map((call) => `${call.function.name}(${call.function.arguments})`) ?? [];
    return `${message.role}: ${[message.content, ...calls].filter(Boolean).join(" ")}`;
  });

export async function until(condition, what) {
  const end = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (Date.now() > end) assert.fail(`waited ${PATIENCE_MS} ms until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
