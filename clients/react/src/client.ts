/** A client of one server: its link, its documents, and the edits that tabs before it left behind. */
import { type LinkStatus, SharedDocument, type Status } from "./document.js";
import { StateError } from "./errors.js";
import type { ServerFrame, Welcome } from "./frames.js";
import { Http } from "./http.js";
import { IndexedDbJournal } from "./indexeddb.js";
import { forgetful, type Journal, type Queue } from "./journal.js";
import type { Json } from "./json.js";
import type { Link, LinkListener, LinkLoss } from "./link.js";
import { Session } from "./session.js";
import { Socket } from "./socket.js";
import { canShare, ifFree, lifeOf, whenGranted } from "./tabs/locks.js";
import { SharedLink } from "./tabs/shared-link.js";

export type ClientOptions = {
  /** Of the server: `http://127.0.0.1:7070`. */
  readonly url: string;
  readonly token?: string;
  /** Asked at each connection, so that it may answer with a fresh one. */
  readonly getToken?: () => string | Promise<string>;
  /** Who is signed in. Edits that wait, and the socket, are shared between tabs of the same user only. */
  readonly user?: string;
  /** Where the platform has none. */
  readonly WebSocket?: unknown;
  readonly fetch?: typeof fetch;
  /** Whether tabs share one socket; they do where they can. */
  readonly shareTabs?: boolean;
  /** Where edits wait; IndexedDB where there is one, else memory. */
  readonly journal?: Journal;
};

export type ClientState = {
  /** `syncing` while edits wait for the server's decision. */
  readonly status: Status;
  /** Edits of all documents that the server has not decided yet. */
  readonly pending: number;
  /** Why there is no connection, where the server said so. */
  readonly error: StateError | null;
  /** Whether this client has a socket of its own, or the one that its tabs share. */
  readonly isLeader: boolean;
};

const DEFAULT_FRAME_BYTES = 1 << 20;

export class StateClient {
  readonly id = crypto.randomUUID();
  readonly http: Http;
  #journal: Journal;
  #scope: string;
  #isShared: boolean;
  #link: Link;
  #status: LinkStatus = "connecting";
  #snapshot: ClientState = { status: "connecting", pending: 0, error: null, isLeader: false };
  #error: StateError | null = null;
  #welcome: Welcome | null = null;
  #sessions = new Map<number, Session>();
  /** The session of each document that its readers share. */
  #byDoc = new Map<string, Session>();
  #listeners = new Set<() => void>();
  #claimed: Promise<void>;
  #lastChannel = 0;
  #isLeader: boolean;
  /** Ends waiting for the queues of other tabs: only who is live may send for them. */
  #live = new AbortController();

  constructor(options: ClientOptions) {
    const origin = options.url.replace(/\/+$/, "");
    const token = async () => (options.getToken ? await options.getToken() : options.token);
    this.#scope = `${origin}|${options.user ?? ""}`;
    this.#isShared = (options.shareTabs ?? true) && canShare();
    this.#isLeader = !this.#isShared;
    this.#journal = options.journal ?? (typeof indexedDB === "undefined" ? forgetful : new IndexedDbJournal(this.#scope));
    this.http = new Http(origin, token, options.fetch ?? ((...request) => fetch(...request)));
    const constructor = (options.WebSocket ?? globalThis.WebSocket) as typeof WebSocket | undefined;
    if (!constructor) throw new TypeError("this platform has no WebSocket: pass one, such as that of the package `ws`, as `WebSocket`");
    const socket = { url: `${origin.replace(/^http/, "ws")}/v1/ws`, clientId: this.id, token, WebSocket: constructor };
    const openSocket = (listener: LinkListener) => new Socket(socket, listener);
    const listener = { opened: this.#opened, heard: this.#heard, lost: this.#lost };
    this.#claimed = this.#claim();
    this.#link = this.#isShared
      ? new SharedLink({ scope: this.#scope, tab: this.id, openSocket, onLeader: () => this.#lead(), onTabGone: () => this.#watchQueues() }, listener)
      : openSocket(listener);
  }

  getSnapshot = (): ClientState => this.#snapshot;

  /** Opens a document; `initial` creates it if it does not exist, and is what is seen until it is known. */
  document<T = Json>(type: string, id: string, initial?: T): SharedDocument<T> {
    const name = `${type}/${id}`;
    const known = this.#byDoc.get(name);
    known?.offer(initial as Json | undefined);
    const session = known ?? this.#open(name, initial as Json | undefined);
    return new SharedDocument<T>(name, session, this.http, () => this.#status);
  }

  /** Told when the snapshot changes. Answers how to stop. */
  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** Off line by will, or back. Edits are kept meanwhile. */
  setOnline(online: boolean): void {
    this.#link.setOnline(online);
  }

  close(): void {
    this.#status = "closed";
    this.#live.abort();
    for (const session of [...this.#sessions.values()]) session.end();
    this.#link.close();
    this.#tell();
  }

  #open(doc: string, initial: Json | undefined, queue?: Queue): Session {
    this.#lastChannel += 1;
    const session = new Session(doc, this.#lastChannel, initial, {
      clientId: this.id,
      journal: this.#journal,
      say: (frame) => this.#link.say(frame),
      frameBytes: () => this.#welcome?.limits.frame_bytes ?? DEFAULT_FRAME_BYTES,
      changed: () => this.#tell(),
      ended: () => this.#forget(session),
    });
    this.#sessions.set(session.channel, session);
    if (!this.#byDoc.has(doc)) this.#byDoc.set(doc, session);
    if (this.#welcome) session.linked();
    if (queue) session.start(queue.kept, [queue.owner]);
    else void this.#begin(session);
    return session;
  }

  async #begin(session: Session): Promise<void> {
    await this.#claimed;
    const confirmed = session.isStarted ? undefined : await this.#journal.seen(session.doc).catch(() => undefined);
    if (!session.isStarted) session.start(confirmed && { confirmed, pending: [] });
  }

  #forget(session: Session): void {
    session.end();
    this.#sessions.delete(session.channel);
    if (this.#byDoc.get(session.doc) === session) this.#byDoc.delete(session.doc);
  }

  #opened = (welcome: Welcome): void => {
    this.#welcome = welcome;
    this.#status = "open";
    this.#error = null;
    for (const session of this.#sessions.values()) session.linked();
    this.#tell();
    this.#watchQueues();
  };

  #heard = (frame: ServerFrame): void => {
    if (!("channel" in frame) || frame.channel === undefined) return;
    this.#sessions.get(frame.channel)?.hear(frame);
  };

  #lost = (loss: LinkLoss): void => {
    if (this.#status === "closed") return;
    this.#welcome = null;
    this.#status = "lost";
    this.#error = loss === "gone" ? null : new StateError({ code: loss, message: `the server closed the connection: ${loss}` });
    this.#live.abort();
    for (const session of [...this.#sessions.values()]) session.cut();
    this.#tell();
  };

  #tell(): void {
    const pending = [...this.#sessions.values()].reduce((sum, { replica }) => sum + replica.pending.length, 0);
    const words = { connecting: "connecting", open: pending > 0 ? "syncing" : "live", lost: "offline", closed: "closed" } as const;
    const next: ClientState = { status: words[this.#status], pending, error: this.#error, isLeader: this.#isLeader };
    if ((Object.keys(next) as (keyof ClientState)[]).every((name) => next[name] === this.#snapshot[name])) return;
    this.#snapshot = next;
    for (const listener of this.#listeners) listener();
  }

  #lead(): void {
    this.#isLeader = true;
    this.#watchQueues();
    this.#tell();
  }

  /** Takes over, at the start, what tabs left that are gone: their edits are seen here, on line or not. */
  async #claim(): Promise<void> {
    for (const owner of await this.#owners()) {
      if (this.#isShared) await ifFree(lifeOf(this.#scope, owner), () => this.#adopt(owner));
      else await this.#adopt(owner);
    }
  }

  /** Waits for the end of every tab with edits, to send what it leaves behind. */
  #watchQueues(): void {
    if (!this.#isShared || !this.#isLeader || this.#status !== "open") return;
    this.#live.abort();
    this.#live = new AbortController();
    const { signal } = this.#live;
    const watch = async () => {
      for (const owner of await this.#owners()) {
        void whenGranted(lifeOf(this.#scope, owner), signal, (release) => void this.#adopt(owner).finally(release));
      }
    };
    void watch();
  }

  async #owners(): Promise<Set<string>> {
    const queues = await this.#journal.queues().catch(() => []);
    return new Set(queues.map(({ owner }) => owner).filter((owner) => owner !== this.id));
  }

  async #adopt(owner: string): Promise<void> {
    const queues = await this.#journal.queues();
    for (const queue of queues.filter((queue) => queue.owner === owner)) {
      const waiting = this.#byDoc.get(queue.doc);
      const session = waiting && !waiting.isStarted ? waiting : this.#open(queue.doc, undefined, queue);
      if (session === waiting) session.start(queue.kept, [queue.owner]);
      await session.kept();
    }
  }
}
