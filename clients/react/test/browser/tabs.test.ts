/** The example page in Chromium against the real binary: tabs, cuts, kills. */
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type Profile, profile, servePages, startBrowser, type Tab } from "../house/browser.js";
import { type Network, networkTo } from "../house/network.js";
import { type Server, startServer } from "../house/server.js";

let browser: Browser;
let pages: Awaited<ReturnType<typeof servePages>>;
let server: Server;
let network: Network;
let profiles: Profile[];

beforeAll(async () => {
  [browser, pages] = await Promise.all([startBrowser(), servePages()]);
});
afterAll(async () => {
  await browser.close();
  await pages.stop();
});
beforeEach(async () => {
  server = await startServer();
  network = await networkTo(server.origin);
  profiles = [];
});
afterEach(async () => {
  for (const each of profiles) {
    await each.close();
    expect(each.errors, "the console shows no errors").toEqual([]);
  }
  await network.close();
  await server.stop();
});

async function person(): Promise<Profile> {
  const opened = await profile(browser);
  profiles.push(opened);
  return opened;
}

const url = (origin = network.origin) => `${pages.origin}/?${new URLSearchParams({ server: origin })}`;
const document = async () => (await (await fetch(`${server.origin}/v1/state/shared/example`)).json()) as { version: number; data: { count: number; messages: string[] } };

test("two tabs edit at once over one socket, and both show everything", async () => {
  const ann = await person();
  const [one, two] = [await ann.tab(url()), await ann.tab(url())];
  await Promise.all([one.live(), two.live()]);
  await Promise.all([one.more(5), two.write("from two"), one.page.bringToFront()]);
  await Promise.all([one.write("from one"), two.more(3)]);
  await Promise.all([one.live(), two.live()]);
  const { data } = await document();
  expect([...data.messages].sort()).toEqual(["from one", "from two"]);
  await Promise.all([one.showsAll(data.count, data.messages), two.showsAll(data.count, data.messages)]);
  expect(one.sockets + two.sockets, "one socket for both").toBe(1);
});

test("another person's edits appear, and who is here", async () => {
  const [one, two] = [await (await person()).tab(url()), await (await person()).tab(url())];
  await Promise.all([one.live(), two.live()]);
  await one.write("hello");
  await two.shows(0, ["hello"]);
  await expect.poll(() => two.part("people").locator("li").count()).toBe(2);
  await one.page.close();
  await expect.poll(() => two.part("people").locator("li").count()).toBe(1);
});

test("tabs of one browser are each somebody", async () => {
  const ann = await person();
  const [one, two] = [await ann.tab(url()), await ann.tab(url())];
  await expect.poll(() => one.part("people").locator("li").count()).toBe(2);
  for (const tab of [one, two]) await expect.poll(() => tab.part("people").locator('li[data-self="true"]').count()).toBe(1);
});

test("edits of both made offline come together once they are back", async () => {
  const ann = await person();
  const [one, two] = [await ann.tab(url()), await ann.tab(url())];
  await Promise.all([one.live(), two.live()]);
  await one.offline(true);
  await one.write("tunnel one");
  await one.more(2);
  await two.write("still here");
  await two.shows(0, ["still here"]);
  await one.shows(2, ["tunnel one"]);
  await two.offline(true);
  await two.write("tunnel two");
  await Promise.all([one.status("offline"), two.status("offline")]);
  await Promise.all([one.offline(false), two.offline(false)]);
  await Promise.all([one.showsAll(2, ["tunnel one", "still here", "tunnel two"]), two.showsAll(2, ["tunnel one", "still here", "tunnel two"])]);
  await Promise.all([one.live(), two.live()]);
  expect((await document()).version, "each edit once").toBe(6);
});

test("edits made offline survive a reload, offline too, and arrive once", async () => {
  const ann = await person();
  const one = await ann.tab(url());
  await one.live();
  await one.write("before");
  await one.live();
  network.cut();
  await one.status("offline");
  await one.write("in the dark");
  await one.more();
  await one.kept(2);
  await one.page.reload();
  await one.shows(1, ["before", "in the dark"]);
  await one.status("offline");
  await one.more();
  await one.shows(2, ["before", "in the dark"]);
  network.heal();
  await one.live();
  await one.kept(0);
  expect(await document()).toMatchObject({ version: 5, data: { count: 2, messages: ["before", "in the dark"] } });
});

test("every edit is in IndexedDB before it goes over the socket", async () => {
  const one = await (await person()).tab(url());
  await one.watchWriting();
  await one.live();
  await one.more(5);
  await one.write("and a message");
  await one.shows(5, ["and a message"]);
  await one.live();
  expect(await one.sent()).toEqual({ written: 6, unwritten: 0 });
});

test("a tab killed with unsent edits: they arrive once, from the tab that is left", async () => {
  const ann = await person();
  const [one, two] = [await ann.tab(url()), await ann.tab(url())];
  await Promise.all([one.live(), two.live()]);
  await two.offline(true);
  await two.more(3);
  await two.write("last words");
  await two.kept(4);
  await two.crash();
  await one.shows(3, ["last words"]);
  await one.kept(0);
  expect((await document()).version).toBe(5);
});

test("a tab killed while its edits were under way and their answers lost: each is carried out once", async () => {
  const ann = await person();
  const one = await ann.tab(url());
  await one.live();
  // The page has made the document, and heard so: what is under way when it is cut are its edits.
  await expect.poll(async () => (await document()).version).toBe(1);
  await one.kept(0);
  network.muteServer();
  await one.more(3);
  await expect.poll(async () => (await document()).data.count).toBe(1);
  await one.kept(3);
  await one.crash();
  network.cut();
  network.heal();
  const next = await ann.tab(url());
  await next.shows(3, []);
  await next.live();
  expect(await document()).toMatchObject({ version: 4, data: { count: 3 } });
});

test("when the tab with the socket dies another takes over, and misses nothing", async () => {
  const ann = await person();
  const [leader, second, third] = [await ann.tab(url()), await ann.tab(url()), await ann.tab(url())];
  await Promise.all([leader.live(), second.live(), third.live()]);
  expect([leader, second, third].map(({ sockets }) => sockets)).toEqual([1, 0, 0]);
  await leader.crash();
  await Promise.all([second.more(2), third.write("after")]);
  await Promise.all([second.shows(2, ["after"]), third.shows(2, ["after"]), second.live(), third.live()]);
  expect(second.sockets + third.sockets, "one of them has it now").toBe(1);
  expect((await document()).version).toBe(4);
});

test("kill -9 of the server in the middle of edits loses none and doubles none", async () => {
  const ann = await person();
  const [one, two] = [await ann.tab(url()), await ann.tab(url())];
  await Promise.all([one.live(), two.live()]);
  await one.more(3);
  await server.kill();
  await Promise.all([one.more(3), two.write("while it was away")]);
  await one.status("offline");
  await server.restart();
  await Promise.all([one.shows(6, ["while it was away"]), two.shows(6, ["while it was away"])]);
  await Promise.all([one.live(), two.live()]);
  expect(await document()).toMatchObject({ version: 8, data: { count: 6 } });
});

test("on a slow network the one who edits waits for nobody", async () => {
  network.delay(300);
  const [one, two] = [await (await person()).tab(url()), await (await person()).tab(url(server.origin))];
  await Promise.all([one.live(), two.live()]);
  await one.more(4);
  expect(await one.part("count").innerText()).toBe("4");
  await one.status("syncing");
  await two.shows(4, []);
  await one.live();
});

test("the slider shows the past, and restores it as a new version", async () => {
  const one = await (await person()).tab(url());
  await one.live();
  await one.write("first");
  await one.more(2);
  await one.live();
  const slider = one.page.getByRole("slider");
  await slider.fill("2");
  await one.part("past").getByText("1 message").waitFor();
  await one.shows(2, ["first"]);
  await one.page.getByRole("button", { name: "Restore this version" }).click();
  await one.shows(0, ["first"]);
  expect((await document()).version).toBe(5);
});

for (const colorScheme of ["light", "dark"] as const) {
  for (const [device, viewport] of Object.entries({ desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } })) {
    test(`${device}, ${colorScheme}: nothing overflows`, async () => {
      const ann = await profile(browser, { colorScheme, viewport });
      profiles.push(ann);
      const one = await ann.tab(url());
      await one.live();
      await picture(one, `${device}-${colorScheme}-1-empty`);
      const two = await ann.tab(url());
      await two.write("Bring the blue folder, and the list of everybody who said that they would come on Thursday evening");
      await two.more(12);
      await one.write("a-word-so-long-that-it-has-to-be-broken-somewhere-in-the-middle-of-a-phone-screen");
      await Promise.all([one.live(), two.live()]);
      await one.part("count").getByText("12").waitFor();
      await one.page.getByRole("slider").fill("5");
      await one.part("past").waitFor();
      await fits(one);
      await picture(one, `${device}-${colorScheme}-2-past`);
      await one.offline(true);
      await one.more(2);
      await one.status("offline");
      await fits(one);
      await picture(one, `${device}-${colorScheme}-3-offline`);
    });
  }
}

async function fits({ page }: Tab): Promise<void> {
  expect(await page.evaluate(() => globalThis.document.documentElement.scrollWidth - globalThis.document.documentElement.clientWidth)).toBe(0);
}

/** For people, only when SCREENSHOTS names a folder. */
async function picture({ page }: Tab, name: string): Promise<void> {
  if (process.env["SCREENSHOTS"]) await page.screenshot({ path: `${process.env["SCREENSHOTS"]}/${name}.png`, fullPage: true });
}
