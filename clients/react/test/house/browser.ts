/** The example page in Chromium. Pages of one profile are tabs of one browser. */
import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { expect } from "vitest";

const example = path.resolve(import.meta.dirname, "../../../../examples/shared-state-react/frontend/dist");
const types: { [extension: string]: string } = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css" };
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export function startBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: flags });
}

/** Serves the built example; its pages are not the server's, so that every request is cross-origin. */
export async function servePages(dist = example): Promise<{ origin: string; stop(): Promise<void> }> {
  if (!existsSync(dist)) throw new Error(`there is no page in ${dist}; the one of examples/shared-state-react is built by npm ci && npm run build`);
  const server = createServer((request, response) => {
    const wanted = new URL(request.url ?? "/", "http://page").pathname;
    const file = path.join(dist, path.normalize(wanted === "/" ? "/index.html" : wanted));
    if (!file.startsWith(dist) || !existsSync(file)) return void response.writeHead(404).end();
    response.writeHead(200, { "content-type": types[path.extname(file)] ?? "application/octet-stream" });
    createReadStream(file).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server has a port");
  return {
    origin: `http://127.0.0.1:${address.port}`,
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

export type Profile = { readonly errors: string[]; tab(url: string): Promise<Tab>; close(): Promise<void> };

export async function profile(browser: Browser, options: BrowserContextOptions = {}): Promise<Profile> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const errors: string[] = [];
  context.on("page", (page) => {
    page.on("pageerror", (error) => errors.push(String(error)));
    page.on("console", (message) => {
      const isExpected = /WebSocket connection to|ERR_CONNECTION/.test(message.text());
      if (message.type() === "error" && !isExpected) errors.push(message.text());
    });
  });
  return { errors, tab: (url) => Tab.open(context, url), close: () => context.close() };
}

/** What a person does in one tab. */
export class Tab {
  /** WebSockets that this tab has opened itself. */
  sockets = 0;
  readonly page: Page;

  private constructor(page: Page) {
    this.page = page;
    page.setDefaultTimeout(15_000);
    page.on("websocket", () => (this.sockets += 1));
  }

  static async open(context: BrowserContext, url: string): Promise<Tab> {
    const tab = new Tab(await context.newPage());
    await tab.page.goto(url);
    await tab.part("example").waitFor();
    return tab;
  }

  part(name: string) {
    return this.page.getByTestId(name);
  }

  async status(wanted: string): Promise<void> {
    await this.page.locator(`[role="status"][data-status="${wanted}"]`).waitFor();
  }

  async live(): Promise<void> {
    await this.status("live");
  }

  async more(times = 1): Promise<void> {
    // Without the waiting for a picture, which a tab in the background takes its time for.
    for (let time = 0; time < times; time += 1) await this.part("more").dispatchEvent("click");
  }

  async write(message: string): Promise<void> {
    await this.part("draft").fill(message);
    await this.part("add").dispatchEvent("click");
  }

  async offline(wanted: boolean): Promise<void> {
    if ((await this.part("offline").isChecked()) !== wanted) await this.part("offline").dispatchEvent("click");
  }

  async shows(count: number, messages: readonly string[]): Promise<void> {
    const look = async () => ({ count: await this.part("count").innerText(), messages: await this.part("message").locator("span").allInnerTexts() });
    await expect.poll(look, { timeout: 15_000 }).toEqual({ count: String(count), messages });
  }

  async showsAll(count: number, messages: readonly string[]): Promise<void> {
    const look = async () => ({ count: await this.part("count").innerText(), messages: (await this.part("message").locator("span").allInnerTexts()).sort() });
    await expect.poll(look, { timeout: 15_000 }).toEqual({ count: String(count), messages: [...messages].sort() });
  }

  /** Resolves when what waits is written down in this browser, where `waits` is how many edits. */
  async kept(waits: number): Promise<void> {
    await expect.poll(() => this.page.evaluate(queued), { timeout: 15_000 }).toBe(waits);
  }

  /** Loads the page anew and compares, from then on, what it says with what is written down at that moment. */
  async watchWriting(): Promise<void> {
    await this.page.addInitScript(watchWriting);
    await this.page.reload();
  }

  /** How many edits were sent that were written down by then, and how many that were not. */
  sent(): Promise<Sent> {
    return this.page.evaluate(() => (globalThis as unknown as { sent: Sent }).sent);
  }

  /** The process of the tab dies; nothing in it gets to say goodbye. */
  async crash(): Promise<void> {
    const session = await this.page.context().newCDPSession(this.page);
    const crashed = new Promise((resolve) => this.page.once("crash", resolve));
    // The answer dies with the page.
    session.send("Page.crash").catch(() => undefined);
    await crashed;
    await this.page.close();
  }
}

type Sent = { written: number; unwritten: number };

/** Runs in the page, before its own scripts. */
function watchWriting(): void {
  const durable = new Set<string>();
  const sent: Sent = { written: 0, unwritten: 0 };
  Object.assign(globalThis, { sent });
  const { put } = IDBObjectStore.prototype;
  IDBObjectStore.prototype.put = function (value: { kept?: { pending: { client: string; id: number }[] } }, key) {
    const edits = (value.kept?.pending ?? []).map(({ client, id }) => `${client}:${id}`);
    this.transaction.addEventListener("complete", () => edits.forEach((edit) => durable.add(edit)));
    return put.call(this, value, key);
  };
  const { send } = WebSocket.prototype;
  WebSocket.prototype.send = function (text) {
    const frame = JSON.parse(String(text)) as { type: string; client_id: string; mutation_id: number };
    if (frame.type === "mutate") sent[durable.has(`${frame.client_id}:${frame.mutation_id}`) ? "written" : "unwritten"] += 1;
    return send.call(this, text);
  };
}

/** Runs in the page. */
function queued(): Promise<number> {
  return new Promise((resolve, reject) => {
    const open = indexedDB.open("coagent");
    open.onerror = () => reject(open.error);
    open.onsuccess = () => {
      const all = open.result.transaction("queues").objectStore("queues").getAll();
      all.onsuccess = () => {
        open.result.close();
        resolve((all.result as { kept: { pending: unknown[] } }[]).reduce((sum, { kept }) => sum + kept.pending.length, 0));
      };
    };
  });
}
