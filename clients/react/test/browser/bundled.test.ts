/** The published package in pages that Vite serves or builds, beside React 18 and 19, with CopilotKit and without. */
import { cpSync, rmSync } from "node:fs";
import path from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { build, createServer } from "vite";
import { servePages, startBrowser } from "../house/browser.js";
import { emptyProject, type Project } from "../house/project.js";
import { packed } from "../house/packed.js";
import { type Server, startServer } from "../house/server.js";

const pages = path.resolve(import.meta.dirname, "../pages");
const planner = "name: Planner\nagent: {kind: native, name: scripted, config: {turns: [{do: [{say: hello}]}]}}\n";
let browser: Browser;
let server: Server;

// Pages are built within the tests.
vi.setConfig({ testTimeout: 120_000 });
beforeAll(async () => {
  [browser, server] = await Promise.all([startBrowser(), startServer({ agents: { "planner.yaml": planner } })]);
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

for (const react of ["19.3.1", "18.3.1"]) {
  describe(`React ${react}`, () => {
    let project: Project;
    const copy = (...names: string[]) => names.forEach((name) => cpSync(path.join(pages, name), path.join(project.folder, name)));

    beforeAll(() => {
      project = emptyProject(packed(), [`react@${react}`, `react-dom@${react}`]);
      copy("show.js", "board.html", "board.js", "alone.html", "alone.js");
    }, 240_000);
    afterAll(() => rmSync(project.folder, { recursive: true, force: true }));

    for (const way of ["built", "served"] as const) {
      test(`${way}: without CopilotKit shared state works, and an agent's state says what it needs`, async () => {
        await visit(project, way, "alone", async (page, said) => {
          await page.locator("#more").click();
          await page.locator("#more", { hasText: /^[1-9]/ }).waitFor();
          await page.getByRole("alert").getByText("useLiveAgentState needs the package @copilotkit/react-core, 1.74 or later").waitFor();
          expect(said.filter((text) => !isThrown(text))).toEqual([]);
        });
      });
    }

    test("beside CopilotKit an agent's state is live, and pages that do not use it do not load it", async () => {
      copy("beside.html", "beside.js");
      cpSync(path.join(pages, "stand-in"), path.join(project.folder, "node_modules/@copilotkit/react-core"), { recursive: true });
      for (const way of ["built", "served"] as const) {
        await put({ steps: [] });
        await visit(project, way, "beside", async (page, said) => {
          await page.locator("#planner", { hasText: '{"steps":[]}' }).waitFor();
          await put({ steps: ["theirs"] });
          await page.locator("#planner", { hasText: '{"steps":["theirs"]}' }).click();
          await page.locator('#planner[data-status="live"]', { hasText: '{"steps":["theirs","mine"]}' }).waitFor();
          await expect.poll(agentState).toEqual({ steps: ["theirs", "mine"] });
          await page.locator('#nobody[data-status="closed"][data-error="not_found"]').waitFor();
          await page.getByRole("alert").getByText("useLiveAgentState needs the provider of CopilotKit above it").waitFor();
          // Vite loads a page a second time when it has met all dependencies.
          const heard = new Set(said.filter((text) => !isThrown(text)));
          expect([...heard], "no warning, such as of the order of hooks").toEqual(["CopilotKit is loaded"]);
        });
        await visit(project, way, "board", async (page, said) => {
          await page.locator("#more").click();
          await page.locator("#more", { hasText: /^[1-9]/ }).waitFor();
          expect(said).toEqual([]);
        });
      }
    });
  });
}

/** Opens a page of the project; `said` is what is in its console, but for what Vite and React say of themselves. */
async function visit(project: Project, way: "built" | "served", name: string, story: (page: Page, said: string[]) => Promise<void>): Promise<void> {
  const { origin, stop } = await (way === "built" ? built(project, name) : served(project));
  const page = await browser.newPage();
  const said: string[] = [];
  // In development React mounts everything twice, and the first client may go while it connects. Where Vite meets a
  // dependency late, it refuses the modules it had bundled before (504, Outdated Optimize Dep) and loads the page again.
  const ofTheTools = /\[vite\]|Outdated Optimize Dep|React DevTools|closed before the connection is established/;
  const hear = (text: string) => ofTheTools.test(text) || said.push(text);
  page.on("console", (message) => hear(message.text()));
  page.on("pageerror", (error) => hear(String(error)));
  page.setDefaultTimeout(60_000);
  try {
    await page.goto(`${origin}/${name}.html?server=${encodeURIComponent(server.origin)}`);
    await story(page, said);
  } finally {
    await page.close();
    await stop();
  }
}

async function built(project: Project, name: string) {
  const outDir = path.join(project.folder, "dist");
  await build({ root: project.folder, configFile: false, logLevel: "error", build: { outDir, rolldownOptions: { input: path.join(project.folder, `${name}.html`) } } });
  return servePages(outDir);
}

async function served(project: Project) {
  const vite = await createServer({ root: project.folder, configFile: false, logLevel: "error", server: { host: "127.0.0.1", port: 0 } });
  await vite.listen();
  const [origin] = vite.resolvedUrls?.local ?? [];
  if (!origin) throw new Error("a server that listens has an address");
  return { origin: origin.replace(/\/$/, ""), stop: () => vite.close() };
}

/** React tells of what a component throws, which its boundary shows. */
function isThrown(text: string): boolean {
  return /useLiveAgentState needs|The above error occurred/.test(text);
}

async function put(state: unknown): Promise<void> {
  const response = await fetch(agentDocument(), { method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify(state) });
  expect(response.ok, await response.text()).toBe(true);
}

async function agentState(): Promise<unknown> {
  return ((await (await fetch(agentDocument())).json()) as { data: unknown }).data;
}

function agentDocument(): string {
  return `${server.origin}/v1/state/agent/${encodeURIComponent("planner:t")}`;
}
