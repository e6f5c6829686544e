/** The client in Node against the real binary. */
import { afterEach, beforeEach, expect, test } from "vitest";
import WebSocket from "ws";
import { IDBFactory, IDBKeyRange } from "fake-indexeddb";
import { type ClientOptions, type Commit, IndexedDbJournal, type Json, type Proposal, type SharedDocument, StateClient, type StateError } from "../src/index.js";
import { forgetful, type Journal } from "../src/journal.js";
import { type Network, networkTo } from "./house/network.js";
import { type Server, startServer } from "./house/server.js";

type Board = { count: number; messages: string[]; title?: string };
const EMPTY: Board = { count: 0, messages: [] };

globalThis.IDBKeyRange = IDBKeyRange;

let server: Server;
let network: Network;
let clients: StateClient[];

beforeEach(async () => {
  server = await startServer();
  network = await networkTo(server.origin);
  clients = [];
});
afterEach(async () => {
  for (const client of clients) client.close();
  await network.close();
  await server.stop();
});

function client(options: Partial<ClientOptions> = {}): StateClient {
  const opened = new StateClient({ url: server.origin, WebSocket, ...options });
  clients.push(opened);
  return opened;
}

const board = (from: StateClient, id = "a") => from.document<Board>("shared", id, EMPTY);
const live = (state: { status: string }) => state.status === "live";
const offline = (state: { status: string }) => state.status === "offline";
const sees = (wanted: Board) => (state: { state: Board }) => JSON.stringify(sorted(state.state)) === JSON.stringify(sorted(wanted));
const sorted = ({ count, messages, title }: Board) => ({ count, messages, title });

async function history(doc: { history(): Promise<Commit[]> }): Promise<number[]> {
  return (await doc.history()).map(({ version }) => version);
}

test("an edit is seen at once, stored, and seen by others; what it does not touch keeps its identity", async () => {
  const [one, two] = [board(client()), board(client())];
  await Promise.all([one.until(live), two.until(live)]);
  const before = one.getSnapshot().state;
  one.updateState((state) => ({ ...state, count: state.count + 1 }));
  expect(one.getSnapshot()).toMatchObject({ state: { count: 1 }, pending: 1, status: "syncing" });
  expect(one.getSnapshot().state.messages).toBe(before.messages);
  const seen = one.getSnapshot().state;
  expect((await two.until(({ state }) => state.count === 1)).version).toBe(2);
  await one.until(live);
  expect(one.getSnapshot().state, "what was confirmed is what was seen").toBe(seen);
  expect(await one.at(1)).toEqual(EMPTY);
});

test("two that edit at once lose nothing, and both see the same", async () => {
  const [one, two] = [board(client()), board(client())];
  await Promise.all([one.until(live), two.until(live)]);
  for (let round = 0; round < 20; round += 1) {
    one.updateState((state) => ({ ...state, messages: [...state.messages, `one ${round}`] }));
    two.updateState((state) => ({ ...state, messages: [`two ${round}`, ...state.messages] }));
    one.mutate({ intents: [{ op: "inc", path: "/count", by: 1 }] });
    two.mutate({ intents: [{ op: "inc", path: "/count", by: 1 }] });
  }
  await Promise.all([one.settled(), two.settled()]);
  const full = (state: { state: Board; pending: number }) => state.state.messages.length === 40 && state.state.count === 40;
  const [here, there] = await Promise.all([one.until(full), two.until(full)]);
  expect(here.state).toEqual(there.state);
  expect(new Set(here.state.messages).size).toBe(40);
});

test("edits that wait keep their places while others edit the same list", async () => {
  const [one, two] = [board(client({ url: network.origin })), board(client())];
  await Promise.all([one.until(live), two.until(live)]);
  one.updateState({ ...EMPTY, messages: ["a", "b", "c"] });
  await two.until(({ state }) => state.messages.length === 3);
  await one.settled();
  network.cut();
  await one.until(offline);
  one.updateState((state) => ({ ...state, messages: [...state.messages, "d"] }));
  one.updateState((state) => ({ ...state, messages: state.messages.map((text) => (text === "d" ? "D" : text)) }));
  one.updateState((state) => ({ ...state, messages: state.messages.map((text) => (text === "b" ? "B" : text)) }));
  one.updateState((state) => ({ ...state, messages: state.messages.filter((text) => text !== "c") }));
  two.updateState((state) => ({ ...state, messages: ["x", "y", ...state.messages.filter((text) => text !== "a")] }));
  await two.settled();
  network.heal();
  const wanted = { ...EMPTY, messages: ["x", "y", "B", "D"] };
  await Promise.all([one.until(live), one.until(sees(wanted)), two.until(sees(wanted))]);
});

test("edits made off line by both come together, and what one overwrote of the other is told", async () => {
  const [one, two] = [board(client({ url: network.origin })), board(client())];
  await Promise.all([one.until(live), two.until(live)]);
  network.cut();
  await one.until(offline);
  one.updateState((state) => ({ ...state, title: "one" }));
  one.updateState((state) => ({ ...state, count: 5 }));
  two.updateState((state) => ({ ...state, title: "two", messages: ["two"] }));
  await two.settled();
  expect(one.getSnapshot()).toMatchObject({ pending: 2, connected: false, state: { title: "one", count: 5 } });
  network.heal();
  const wanted = { count: 5, messages: ["two"], title: "one" };
  await Promise.all([one.until(live), two.until(sees(wanted))]);
  expect(one.getSnapshot().conflicts).toMatchObject([{ path: "/title", lost: "two" }]);
  expect(one.getSnapshot().state).toEqual(wanted);
});

test("a connection that comes back brings what was missed, and no more", async () => {
  const heard: string[] = [];
  class Recorded extends WebSocket {
    constructor(url: string, protocol: string) {
      super(url, protocol);
      this.on("message", (data) => heard.push((JSON.parse(String(data)) as { type: string }).type));
    }
  }
  const [one, two] = [board(client({ url: network.origin, WebSocket: Recorded })), board(client())];
  await Promise.all([one.until(live), two.until(live)]);
  expect(heard.filter((type) => type === "snapshot")).toHaveLength(1);
  network.cut();
  await one.until(offline);
  for (let count = 1; count <= 3; count += 1) two.updateState((state) => ({ ...state, count }));
  await two.settled();
  heard.length = 0;
  network.heal();
  await one.until((state) => live(state) && state.state.count === 3);
  expect(heard.filter((type) => type === "snapshot" || type === "delta")).toEqual(["delta", "delta", "delta"]);
});

test("an edit whose answer was lost is carried out once", async () => {
  const one = board(client({ url: network.origin }));
  await one.until(live);
  network.muteServer();
  one.mutate({ intents: [{ op: "inc", path: "/count", by: 1 }] });
  const other = board(client());
  await other.until(({ state }) => state.count === 1);
  network.cut();
  await one.until(offline);
  one.mutate({ intents: [{ op: "inc", path: "/count", by: 1 }] });
  network.heal();
  await one.until(live);
  await other.until(({ state }) => state.count === 2);
  expect(one.getSnapshot().state.count).toBe(2);
  expect(await history(one)).toEqual([1, 2, 3]);
});

test("a killed server loses nothing that was answered, and gets what was not when it is back", async () => {
  const one = board(client());
  await one.until(live);
  const versions: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    for (let edit = 0; edit < 4; edit += 1) one.mutate({ intents: [{ op: "inc", path: "/count", by: 1 }] });
    await server.restart();
    await one.until(live);
    versions.push(one.getSnapshot().version);
  }
  expect(one.getSnapshot().state.count).toBe(20);
  expect(versions).toEqual([5, 9, 13, 17, 21]);
});

test("a server that forgot everything gets what waits, and the client what the server has", async () => {
  const forgetful = await startServer({ store: "memory:" });
  try {
    const one = board(client({ url: forgetful.origin }));
    await one.until(live);
    one.updateState((state) => ({ ...state, count: 1 }));
    await one.settled();
    await forgetful.kill();
    await one.until(offline);
    one.updateState((state) => ({ ...state, messages: ["kept"] }));
    one.updateState((state) => ({ ...state, title: "kept too" }));
    await forgetful.restart();
    const { state, version } = await one.until(live);
    expect(state).toMatchObject({ messages: ["kept"], title: "kept too" });
    expect(version).toBeGreaterThan(1);
  } finally {
    await forgetful.stop();
  }
});

test("a slow network delays others, never the one who edits", async () => {
  network.delay(60);
  const [one, two] = [board(client({ url: network.origin })), board(client())];
  await Promise.all([one.until(live), two.until(live)]);
  for (let count = 1; count <= 10; count += 1) {
    one.updateState((state) => ({ ...state, count }));
    expect(one.getSnapshot().state.count).toBe(count);
  }
  two.updateState((state) => ({ ...state, messages: ["meanwhile"] }));
  await Promise.all([one.settled(), two.settled()]);
  const wanted = { count: 10, messages: ["meanwhile"] };
  await Promise.all([one.until(sees(wanted)), two.until(sees(wanted))]);
});

test("an edit is said to the server only when it is written down, over a cut too", async () => {
  const said: number[] = [];
  class Recorded extends WebSocket {
    override send(text: string): void {
      const frame = JSON.parse(text) as { type: string; mutation_id: number };
      if (frame.type === "mutate") said.push(frame.mutation_id);
      super.send(text);
    }
  }
  let write: () => void = () => undefined;
  const hanging: Journal = { ...forgetful, keep: () => new Promise((resolve) => (write = resolve)) };
  const [one, two] = [board(client({ url: network.origin, journal: hanging, WebSocket: Recorded })), board(client())];
  await Promise.all([one.until(live), two.until(live)]);
  one.updateState((state) => ({ ...state, title: "one" }));
  two.updateState((state) => ({ ...state, count: 1 }));
  await one.until(({ state }) => state.count === 1);
  network.cut();
  await one.until(offline);
  network.heal();
  two.updateState((state) => ({ ...state, count: 2 }));
  await one.until(({ state, connected }) => state.count === 2 && connected);
  expect(one.getSnapshot()).toMatchObject({ pending: 1, state: { title: "one" } });
  expect(said).toEqual([]);
  write();
  await two.until(({ state }) => state.title === "one");
  expect(said).toEqual([1]);
});

test("edits that a process left behind are seen by the next one, off line too, and arrive once", async () => {
  const factory = new IDBFactory();
  const journal = () => new IndexedDbJournal("test", factory);
  const first = client({ url: network.origin, journal: journal() });
  const one = board(first);
  await one.until(live);
  network.muteServer();
  one.mutate({ intents: [{ op: "inc", path: "/count", by: 1 }] });
  await board(client()).until(({ state }) => state.count === 1);
  network.cut();
  await one.until(offline);
  one.updateState((state) => ({ ...state, messages: [...state.messages, "later"] }));
  one.updateState((state) => ({ ...state, messages: state.messages.map((text) => text.toUpperCase()) }));
  await waiting(journal(), 3);
  first.close();

  const next = client({ url: network.origin, journal: journal() });
  const again = board(next);
  const there = await again.until(({ pending }) => pending === 3);
  expect(there).toMatchObject({ connected: false, state: { count: 1, messages: ["LATER"] } });
  again.updateState((state) => ({ ...state, title: "after" }));
  network.heal();
  await again.until(live);
  expect(again.getSnapshot().state).toEqual({ count: 1, messages: ["LATER"], title: "after" });
  expect(await history(again)).toEqual([1, 2, 3, 4, 5]);
  await waiting(journal(), 0);
});

test("edits of a document that nobody opens again are sent too", async () => {
  const factory = new IDBFactory();
  const journal = () => new IndexedDbJournal("test", factory);
  const first = client({ url: network.origin, journal: journal() });
  await board(first, "forgotten").until(live);
  network.cut();
  board(first, "forgotten").updateState({ ...EMPTY, title: "arrives" });
  await waiting(journal(), 1);
  first.close();
  network.heal();
  client({ url: network.origin, journal: journal() });
  await board(client(), "forgotten").until(({ state }) => state.title === "arrives");
});

test("a refused edit is taken back and told, and does not hold up the next", async () => {
  const tasks = client().document<{ title: string; status: string; note?: string }>("task", "t", { title: "t", status: "new" });
  await tasks.until(live);
  tasks.updateState((task) => ({ ...task, status: "done" }));
  tasks.updateState((task) => ({ ...task, note: "kept" }));
  expect(tasks.getSnapshot().state).toMatchObject({ status: "done", note: "kept" });
  await tasks.settled();
  expect(tasks.getSnapshot().state).toEqual({ title: "t", status: "new", note: "kept" });
  expect(tasks.getSnapshot().error).toMatchObject({ name: "StateError", code: "transition_invalid" });
});

test("an edit that is too large is refused here, and the connection lives", async () => {
  const one = board(client());
  await one.until(live);
  one.updateState((state) => ({ ...state, count: 7 }));
  await one.settled();
  one.updateState((state) => ({ ...state, title: "x".repeat(2 << 20) }));
  one.updateState((state) => ({ ...state, count: 1 }));
  await one.settled();
  expect(one.getSnapshot()).toMatchObject({ state: { count: 1 }, error: { code: "too_large" }, status: "live" });
});

test("every kind of mutation is seen as the server then has it", async () => {
  const doc = client().document<Json>("shared", "kinds", { l: [{ id: "a" }, { id: "b" }], text: "héllo", o: { x: 1, y: 2 } });
  await doc.until(live);
  const proposals: Proposal[] = [
    { merge: { o: { x: null, z: { w: 1 } } } },
    { patch: [{ op: "move", from: "/l/0", path: "/l/1" }, { op: "copy", from: "/o/y", path: "/o/q" }, { op: "test", path: "/o/y", value: 2 }] },
    { intents: [{ op: "insert", path: "/l", value: { id: "c" }, after: "b" }, { op: "move", path: "/l", key: "a", before: "b" }] },
    { intents: [{ op: "text", path: "/text", pos: 1, delete: 1, insert: "e" }, { op: "append", path: "/new/list", value: 1 }] },
    { intents: [{ op: "remove_key", path: "/l", key: "b" }, { op: "unset", path: "/o/q" }, { op: "set", path: "/s/t", value: true }] },
    { replace: { only: [1, 2, 3] } },
  ];
  for (const proposal of proposals) {
    doc.mutate(proposal);
    const optimistic = doc.getSnapshot().state;
    await doc.settled();
    expect(doc.getSnapshot().error).toBeNull();
    expect(doc.getSnapshot().state, JSON.stringify(proposal)).toEqual(optimistic);
    expect(await doc.at(doc.getSnapshot().version)).toEqual(optimistic);
  }
});

test("history, a version as it was, and rollback", async () => {
  const one = board(client());
  await one.until(live);
  one.mutate({ merge: { title: "second" } }, { reason: "to see" });
  await one.settled();
  expect(await one.history({ after: 1 })).toMatchObject([{ version: 2, actor: "user:local", reason: "to see", mutation_id: 1 }]);
  expect(await one.at(1)).toEqual(EMPTY);
  expect(await one.rollback(1, "back")).toMatchObject({ version: 3, skipped: [] });
  expect((await one.until(({ version }) => version === 3)).state).toEqual(EMPTY);
  await expect(one.rollback(99)).rejects.toMatchObject({ name: "StateError", code: "version_not_found" });
});

test("a document that does not exist says so, until somebody makes it; a deleted one is nothing", async () => {
  const doc = client().document<{ n: number }>("shared", "absent");
  expect((await doc.until(({ status }) => status === "closed")).error).toMatchObject({ code: "not_found" });
  doc.updateState({ n: 1 });
  await doc.until(live);
  expect(doc.getSnapshot().state).toEqual({ n: 1 });
  await fetch(`${server.origin}/v1/state/shared/absent`, { method: "DELETE" });
  await doc.until(({ state }) => state === undefined);
  doc.updateState({ n: 2 });
  await doc.settled();
  expect(doc.getSnapshot()).toMatchObject({ state: { n: 2 }, status: "live" });
});

const remove = (id: string) => fetch(`${server.origin}/v1/state/shared/${id}`, { method: "DELETE" });
const put = (id: string, data: Json) =>
  fetch(`${server.origin}/v1/state/shared/${id}`, { method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify(data) });
const data = async (id: string) => ((await (await fetch(`${server.origin}/v1/state/shared/${id}`)).json()) as { data?: Json }).data;

test("a document that is deleted while one is away is followed when somebody makes it again", async () => {
  await put("gone", { n: 1 });
  const away = client();
  const doc = away.document<{ n: number }>("shared", "gone");
  await doc.until(live);
  away.setOnline(false);
  await remove("gone");
  away.setOnline(true);
  const { error, state } = await doc.until(({ status }) => status === "closed");
  expect(error).toMatchObject({ code: "deleted" });
  expect(state).toBeUndefined();
  await put("gone", { n: 2 });
  await doc.until((now) => live(now) && now.state.n === 2);
  expect(doc.getSnapshot().error).toBeNull();
  away.setOnline(false);
  await remove("gone");
  away.setOnline(true);
  await doc.until(({ status }) => status === "closed");
  doc.updateState({ n: 3 });
  await doc.settled();
  expect(await data("gone")).toEqual({ n: 3 });
});

test("edits that wait for a document that was deleted are taken back and told; with an initial state it begins anew", async () => {
  await put("bare", { count: 0 });
  const away = client();
  const docs = [board(away, "begun"), away.document<Board>("shared", "bare")];
  await Promise.all(docs.map((doc) => doc.until(live)));
  away.setOnline(false);
  const told = docs.map((doc) => {
    for (const title of ["one", "two"]) doc.updateState((state) => ({ ...state, title }));
    const errors = new Set<StateError | null>();
    doc.subscribe(() => errors.add(doc.getSnapshot().error));
    return errors;
  });
  await Promise.all([remove("begun"), remove("bare")]);
  away.setOnline(true);
  await Promise.all(docs.map((doc) => doc.settled()));
  for (const errors of told) {
    const refusals = [...errors].filter((error) => error !== null);
    expect(refusals).toHaveLength(2);
    for (const refusal of refusals) expect(refusal).toMatchObject({ code: "deleted", message: expect.stringContaining("was not carried out") });
  }
  const [begun, bare] = docs as [SharedDocument<Board>, SharedDocument<Board>];
  await begun.until(live);
  expect(begun.getSnapshot().state).toEqual(EMPTY);
  expect(await data("begun")).toEqual(EMPTY);
  expect(bare.getSnapshot()).toMatchObject({ status: "closed", pending: 0 });
  expect(away.getSnapshot()).toMatchObject({ status: "live", pending: 0 });
  begun.updateState((state) => ({ ...state, count: 1 }));
  await begun.settled();
  expect(await data("begun")).toEqual({ ...EMPTY, count: 1 });
});

test("who comes back to a document that was deleted finds it as who comes for the first time; what a page left for it holds up nobody", async () => {
  const factory = new IDBFactory();
  const journal = () => new IndexedDbJournal("test", factory);
  const first = client({ journal: journal() });
  await Promise.all([board(first, "a").until(live), board(first, "left").until(live)]);
  board(first, "a").updateState((state) => ({ ...state, count: 1 }));
  await board(first, "a").settled();
  await waiting(journal(), 0);
  first.setOnline(false);
  board(first, "left").updateState((state) => ({ ...state, title: "left" }));
  await waiting(journal(), 1);
  first.close();
  await Promise.all([remove("a"), remove("left")]);

  const next = client({ journal: journal() });
  const again = board(next, "a");
  await again.until((state) => live(state) && state.version > 2);
  expect(again.getSnapshot().state).toEqual(EMPTY);
  again.updateState((state) => ({ ...state, title: "again" }));
  await again.settled();
  expect(await data("a")).toEqual({ ...EMPTY, title: "again" });
  await waiting(journal(), 0);
  await expect.poll(() => next.getSnapshot().status).toBe("live");
  expect(await data("left")).toBeUndefined();
});

test("edits that wait survive a backup that is older than what they were made on", async () => {
  const [one, two] = [board(client()), board(client())];
  await Promise.all([one.until(live), two.until(live)]);
  await server.stash();
  await one.until(live);
  for (let count = 1; count <= 5; count += 1) {
    one.updateState((state) => ({ ...state, count }));
    await one.settled();
  }
  await two.until(({ state }) => state.count === 5);
  await server.kill();
  await Promise.all([one.until(offline), two.until(offline)]);
  one.updateState((state) => ({ ...state, messages: ["one"] }));
  two.mutate({ intents: [{ op: "append", path: "/messages", value: "two" }] });
  await server.unstash();
  await Promise.all([one.settled(), two.settled()]);
  const all = ({ state }: { state: Board }) => state.messages.length === 2;
  const [here, there] = await Promise.all([one.until(all), two.until(all)]);
  expect(here.state).toEqual(there.state);
  expect([here.error, there.error]).toEqual([null, null]);
  expect([...here.state.messages].sort()).toEqual(["one", "two"]);
});

test("presence: who is here, which of them one is, and who left", async () => {
  const [one, two] = [board(client()), board(client())];
  await Promise.all([one.until(live), two.until(live)]);
  one.setPresence({ name: "ann" });
  two.setPresence({ name: "bob" });
  const { presence } = await one.until(({ presence }) => presence.length === 2 && presence.some(({ isSelf }) => isSelf));
  expect(presence.find(({ isSelf }) => isSelf)?.data).toEqual({ name: "ann" });
  two.setPresence();
  await one.until(({ presence }) => presence.length === 1);
});

async function waiting(journal: IndexedDbJournal, edits: number): Promise<void> {
  await expect.poll(async () => (await journal.queues()).reduce((sum, { kept }) => sum + kept.pending.length, 0)).toBe(edits);
}
