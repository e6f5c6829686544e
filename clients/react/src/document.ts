/** A document as an application holds it: what it is now, edits of it, its past. */
import { diff } from "./diff.js";
import type { StateError } from "./errors.js";
import type { Conflict } from "./frames.js";
import type { Commit, HistoryQuery, Http, RollbackTarget, RolledBack } from "./http.js";
import { type Json, sharing } from "./json.js";
import type { Proposal } from "./proposal.js";
import type { Ear, Session } from "./session.js";

/** `connecting` the first time, `syncing` while there is something to send or to catch up with, `closed` after a refusal or the client's end. */
export type Status = "connecting" | "live" | "offline" | "syncing" | "closed";

export type Peer = { readonly id: string; readonly principal: string; readonly data: Json; readonly isSelf: boolean };

export type DocumentState<T> = {
  /** With this client's own edits; `initial` until something is known. Parts that did not change keep their identity. */
  readonly state: T;
  /** The version of the server's document under those edits; 0 until something is known. */
  readonly version: number;
  readonly status: Status;
  readonly connected: boolean;
  /** Edits the server has not decided yet. */
  readonly pending: number;
  /** The last refusal, until the next edit is made here. */
  readonly error: StateError | null;
  /** What the latest accepted edits overwrote of others. */
  readonly conflicts: readonly Conflict[];
  readonly presence: readonly Peer[];
};

/** How a client is connected. */
export type LinkStatus = "connecting" | "open" | "lost" | "closed";
const CONFLICTS_KEPT = 20;

export class SharedDocument<T> {
  readonly name: string;
  #session: Session;
  #http: Http;
  #link: () => LinkStatus;
  #listeners = new Set<() => void>();
  #runListeners = new Set<(runId: string) => void>();
  #snapshot: DocumentState<T>;
  #error: StateError | null = null;
  #conflicts: readonly Conflict[] = [];
  #ear: Ear;

  constructor(name: string, session: Session, http: Http, link: () => LinkStatus) {
    this.name = name;
    this.#session = session;
    this.#http = http;
    this.#link = link;
    this.#snapshot = this.#look();
    this.#ear = {
      changed: () => this.#changed(),
      failed: (error) => {
        this.#error = error;
        this.#changed();
      },
      found: () => {
        this.#error = null;
      },
      conflicted: (conflicts) => {
        this.#conflicts = [...this.#conflicts, ...conflicts].slice(-CONFLICTS_KEPT);
        this.#changed();
      },
      ran: (runId) => {
        for (const listener of this.#runListeners) listener(runId);
      },
    };
    session.ears.add(this.#ear);
    session.retain();
  }

  getSnapshot = (): DocumentState<T> => this.#snapshot;

  /** Answers how to stop. */
  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** Told of each version that a run of an agent made, by the run's id. */
  onRun(listener: (runId: string) => void): () => void {
    this.#runListeners.add(listener);
    return () => void this.#runListeners.delete(listener);
  }

  /** The whole next state; what is sent is how it differs from the one that is seen. */
  updateState = (next: T | ((before: T) => T)): void => {
    const before = this.#session.replica.view();
    const wanted = plain(typeof next === "function" ? (next as (before: T) => T)(this.#session.view() as T) : next);
    // A document that was deleted is made again.
    if (before === undefined && wanted !== undefined) return this.mutate({ replace: wanted });
    const patch = diff(before, wanted);
    if (patch.length > 0) this.mutate({ patch });
  };

  mutate = (proposal: Proposal, { reason }: { readonly reason?: string } = {}): void => {
    this.#error = null;
    this.#session.edit(proposal, reason);
  };

  /** Says who is here, and what they do (2 KiB at most); nothing says goodbye. */
  setPresence = (data?: Json): void => this.#session.sit(data);

  /** Asks again for a document that was refused, such as one that did not exist. */
  lookAgain(): void {
    this.#session.lookAgain();
  }

  history = (query: HistoryQuery = {}): Promise<Commit[]> => this.#http.history(this.name, query);

  /** What the server has, as far as this client has heard. */
  confirmed(): { readonly version: number; readonly state: T } {
    const { version, data } = this.#session.replica.confirmed;
    return { version, state: data as T };
  }

  /** The document as it was. */
  at = async (version: number): Promise<T> => (await this.#http.version(this.name, version)).data as T;

  rollback = (target: RollbackTarget, reason?: string): Promise<RolledBack> => this.#http.rollback(this.name, target, reason);

  /** Resolves when every edit made so far is decided. */
  settled(): Promise<void> {
    return this.until(({ pending }) => pending === 0).then(() => undefined);
  }

  /** Resolves with the first state that is as wished, which may be this one. */
  until(wish: (state: DocumentState<T>) => boolean): Promise<DocumentState<T>> {
    return new Promise((resolve) => {
      const look = () => {
        if (!wish(this.#snapshot)) return;
        stop();
        resolve(this.#snapshot);
      };
      const stop = this.subscribe(look);
      look();
    });
  }

  /** Lets go of it; edits that wait are sent all the same. */
  close(): void {
    if (!this.#session.ears.delete(this.#ear)) return;
    this.#listeners.clear();
    this.#session.release();
  }

  #changed(): void {
    const next = this.#look();
    const before = this.#snapshot;
    if ((Object.keys(next) as (keyof DocumentState<T>)[]).every((name) => next[name] === before[name])) return;
    this.#snapshot = next;
    for (const listener of this.#listeners) listener();
  }

  #look(): DocumentState<T> {
    const { replica, peers, you, stage } = this.#session;
    const before = this.#snapshot as DocumentState<T> | undefined;
    const pending = replica.pending.length;
    const status = statusOf(this.#link(), stage, pending);
    const presence = Object.entries(peers).map(([id, { principal, data }]) => ({ id, principal, data, isSelf: id === you }));
    return {
      state: sharing(before?.state as Json | undefined, this.#session.view()) as T,
      version: replica.confirmed.version,
      status,
      connected: status === "live" || status === "syncing",
      pending,
      error: this.#error,
      conflicts: this.#conflicts,
      presence: sharing(before?.presence as Json | undefined, presence) as readonly Peer[],
    };
  }
}

function statusOf(link: LinkStatus, stage: Session["stage"], pending: number): Status {
  if (link !== "open") return link === "lost" ? "offline" : link;
  if (stage === "refused") return "closed";
  return stage === "live" && pending === 0 ? "live" : "syncing";
}

/** As JSON would have it: without members that are `undefined`. */
function plain(value: unknown): Json | undefined {
  if (value === undefined) return undefined;
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError("a state is JSON: objects, arrays, strings, numbers, booleans, null");
  return sharing(value as Json, JSON.parse(text) as Json);
}
