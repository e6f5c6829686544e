/** One document over a link: subscribes, sends what waits one by one, hears answers, keeps the queue. */
import { type ErrorDetails, isPassing, StateError } from "./errors.js";
import type { Ack, ChannelFrame, Conflict, Mutate, Peers, Reject, Subscribe, Told } from "./frames.js";
import type { Journal } from "./journal.js";
import type { Json } from "./json.js";
import { Keeper } from "./keeper.js";
import type { Proposal } from "./proposal.js";
import { type Kept, type Pending, Replica } from "./replica.js";

/** What a session needs of its client. */
export interface Surroundings {
  readonly clientId: string;
  readonly journal: Journal;
  /** Says it on this session's channel of the link. */
  say(frame: ChannelFrame): void;
  readonly frameBytes: () => number;
  changed(): void;
  /** The session has nothing to do any more. */
  ended(session: Session): void;
}

export type Ear = {
  changed(): void;
  failed(error: StateError): void;
  /** What was refused is there now. */
  found(): void;
  conflicted(conflicts: readonly Conflict[]): void;
  /** A version was made by a run of an agent. */
  ran(runId: string): void;
};

const GRACE_MS = 1_000;
/** Nobody tells when a document that is missing is made, or when the store is back; readers look again after this. */
const LOOK_AGAIN_MS = 3_000;

export class Session {
  readonly doc: string;
  readonly channel: number;
  readonly replica: Replica;
  readonly ears = new Set<Ear>();
  peers: Peers = {};
  /** Which of the peers this session is. */
  you: string | undefined;
  /** Where it stands with the server: not subscribed, not caught up yet, or caught up. */
  stage: "cut" | "catching_up" | "live" | "refused" = "cut";

  #around: Surroundings;
  #initial: Json | undefined;
  #client: string;
  #next = 1;
  #ready = false;
  #linked = false;
  #inFlight: Pending | null = null;
  #keeper: Keeper;
  #isEnded = false;
  #presence: Json | undefined;
  #holders = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #grace: ReturnType<typeof setTimeout> | undefined;

  constructor(doc: string, channel: number, initial: Json | undefined, around: Surroundings) {
    this.doc = doc;
    this.channel = channel;
    this.#around = around;
    this.#initial = initial;
    this.#client = around.clientId;
    this.replica = new Replica(initial);
    this.#keeper = new Keeper({
      journal: around.journal,
      owner: around.clientId,
      doc,
      look: () => this.replica.kept(),
      written: () => {
        this.#pump();
        this.#endIfIdle();
      },
      failed: (error) => {
        const refusal = new StateError({ code: "not_kept", message: `edits are not kept over a reload: ${String(error)}` });
        this.#tell((ear) => ear.failed(refusal));
      },
    });
  }

  get isStarted(): boolean {
    return this.#ready;
  }

  /** With edits of this client; without a document, what it would be created with. */
  view(): Json | undefined {
    return this.replica.view() ?? this.#initial;
  }

  /** Goes on from what was kept, if anything was; `adopted` are the owners whose edits these are. */
  start(kept: Kept | undefined, adopted: readonly string[] = []): void {
    this.#keeper.adopt(adopted);
    if (kept) this.replica.restore(kept);
    if (kept?.confirmed.version === 0) this.#initial ??= kept.confirmed.data;
    this.#ready = true;
    if (this.replica.pending.length > 0) this.#keeper.save();
    this.#changed();
    if (this.#linked) this.#subscribe();
  }

  /** What to create the document with, from a reader that came later. */
  offer(initial: Json | undefined): void {
    if (initial === undefined || this.#initial !== undefined) return;
    this.#initial = initial;
    if (!this.replica.isKnown) this.replica.begin(initial);
    this.lookAgain();
    this.#changed();
  }

  lookAgain(): void {
    if (this.stage === "refused" && this.#linked) this.#subscribe();
  }

  /** Resolves when what there is now is written down. */
  kept(): Promise<void> {
    return this.#keeper.settled();
  }

  retain(): void {
    this.#holders += 1;
    clearTimeout(this.#grace);
  }

  release(): void {
    this.#holders -= 1;
    // A component that is mounted again a moment later finds everything as it was.
    if (this.#holders === 0) this.#grace = setTimeout(() => this.#endIfIdle(), GRACE_MS);
  }

  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    for (const timer of [this.#grace, this.#retry]) clearTimeout(timer);
    this.#keeper.stop();
    if (this.#linked) this.#around.say({ type: "unsubscribe", channel: this.channel });
    this.cut();
  }

  edit(proposal: Proposal, reason?: string): void {
    this.replica.edit(this.#client, this.#next, proposal, reason);
    this.#next += 1;
    this.lookAgain();
    if (this.#ready) this.#keeper.save();
    this.#changed();
  }

  /** Says who is here, to everybody who asks; `undefined` leaves. */
  sit(data: Json | undefined): void {
    this.#presence = data;
    if (this.stage === "live") this.#around.say({ type: "presence", channel: this.channel, ...(data === undefined ? {} : { data }) });
  }

  linked(): void {
    this.#linked = true;
    if (this.#ready) this.#subscribe();
    else this.#changed();
  }

  cut(): void {
    this.#linked = false;
    this.#inFlight = null;
    this.stage = "cut";
    this.peers = {};
    this.#changed();
  }

  hear(told: Told): void {
    switch (told.type) {
      case "snapshot":
        this.replica.snapshot(told.epoch, told.version, told.data);
        return this.#moved();
      case "delta":
        if (told.run_id !== undefined) this.#tell((ear) => ear.ran(told.run_id as string));
        if (!this.replica.delta(told)) this.#subscribe();
        return this.#moved();
      case "deleted":
        this.replica.snapshot(this.replica.confirmed.epoch, told.version, undefined);
        return this.#moved();
      case "live":
        if (this.stage === "refused") this.#tell((ear) => ear.found());
        this.stage = "live";
        if (this.#presence !== undefined) this.sit(this.#presence);
        return this.#changed();
      case "ack":
        return this.#accepted(told);
      case "reject":
        return this.#rejected(told);
      case "presence":
        this.peers = told.peers;
        this.you = told.you;
        return this.#changed();
      case "error":
        return this.#failed(told);
    }
  }

  #subscribe(): void {
    const { epoch, version, data } = this.replica.confirmed;
    if (this.stage !== "refused") this.stage = "catching_up";
    this.#inFlight = null;
    const since = version > 0 && data !== undefined ? { since: { epoch, version } } : {};
    const initial = this.#initial ?? (this.replica.pending.length > 0 ? {} : undefined);
    const create = initial === undefined || version > 0 ? {} : { create: initial };
    const subscribe: Subscribe = { type: "subscribe", channel: this.channel, doc: this.doc, presence: true, ...since, ...create };
    this.#around.say(subscribe);
    this.#changed();
  }

  /** Sends what waits longest. One at a time: the next is made on the version that holds this one, which only its answer tells. */
  #pump(): void {
    const first = this.replica.pending[0];
    if (!first || this.stage !== "live" || this.#inFlight || first.accepted !== undefined || !this.#keeper.isSafe(first)) return;
    const frame: Mutate = {
      ...first.sent,
      type: "mutate",
      channel: this.channel,
      client_id: first.client,
      mutation_id: first.id,
      ...(first.base && first.base.epoch === this.replica.confirmed.epoch ? { base: first.base.version } : {}),
      ...(first.reason === undefined ? {} : { reason: first.reason }),
    };
    if (JSON.stringify(frame).length > this.#around.frameBytes()) {
      return this.#refuse({ code: "too_large", message: `an edit has at most ${this.#around.frameBytes()} bytes` });
    }
    this.#inFlight = first;
    this.#around.say(frame);
  }

  #accepted({ mutation_id, version, conflicts = [] }: Ack): void {
    if (this.#inFlight?.id !== mutation_id) return;
    this.#inFlight = null;
    this.replica.accepted(version);
    if (conflicts.length > 0) this.#tell((ear) => ear.conflicted(conflicts));
    this.#moved();
  }

  #rejected(reject: Reject): void {
    const edit = this.#inFlight;
    if (edit?.id !== reject.mutation_id) return;
    this.#inFlight = null;
    if (isPassing(reject.code)) {
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => (reject.code === "unsubscribed" && this.#linked ? this.#subscribe() : this.#pump()), reject.retry_ms ?? 0);
    } else if (reject.code === "mutation_gap") {
      this.#renumber(edit.client, reject.expect ?? 1);
    } else if (reject.code === "client_unknown") {
      // Nobody knows whether it was carried out: what it would still change is asked for anew, under a name nobody used.
      this.replica.anew();
      this.#renumber(edit.client, 1, crypto.randomUUID());
    } else {
      this.#refuse(reject);
    }
  }

  #renumber(client: string, first: number, as = client): void {
    const next = this.replica.renumber(client, first, as);
    if (client === this.#client) [this.#client, this.#next] = [as, next];
    if (this.#ready) this.#keeper.save();
    this.#changed();
  }

  #refuse({ code, message, version, paths, errors }: ErrorDetails): void {
    this.replica.refused();
    const details = { code, message, ...(version === undefined ? {} : { version }), ...(paths ? { paths } : {}), ...(errors ? { errors } : {}) };
    this.#tell((ear) => ear.failed(new StateError(details)));
    this.#moved();
  }

  #failed({ code, message }: { readonly code: string; readonly message: string }): void {
    const isGone = code === "not_found" || code === "deleted";
    let taken = 0;
    if (isGone && this.replica.isKnown) {
      if (code === "not_found") this.replica.lost();
      else taken = this.#deleted(message);
      if (this.#initial !== undefined || this.replica.pending.length > 0) return this.#subscribe();
    }
    if ((isGone || isPassing(code)) && (this.#holders > 0 || this.replica.pending.length > 0)) {
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.lookAgain(), LOOK_AGAIN_MS);
    }
    if (this.stage !== "refused" && taken === 0) this.#tell((ear) => ear.failed(new StateError({ code, message })));
    this.stage = "refused";
    this.#changed();
  }

  /** Takes back the edits that waited for what is no more, and says so of each; answers how many. */
  #deleted(message: string): number {
    const taken = this.replica.deleted(this.#initial);
    if (this.#ready) this.#keeper.save();
    if (taken === 0) return 0;
    // What may still come of those must not be taken for an answer to the next.
    [this.#client, this.#next] = [crypto.randomUUID(), 1];
    const refusal = { code: "deleted", message: `an edit that waited was not carried out: ${message}` };
    for (let told = 0; told < taken; told += 1) this.#tell((ear) => ear.failed(new StateError(refusal)));
    return taken;
  }

  #moved(): void {
    if (this.#ready) this.#keeper.save();
    this.#changed();
  }

  #changed(): void {
    this.#tell((ear) => ear.changed());
    this.#around.changed();
    this.#pump();
    this.#endIfIdle();
  }

  #tell(say: (ear: Ear) => void): void {
    for (const ear of this.ears) say(ear);
  }

  #endIfIdle(): void {
    const isIdle = this.replica.pending.length === 0 && this.#keeper.isIdle;
    if (this.#ready && this.#holders === 0 && isIdle && !this.#isEnded) this.#around.ended(this);
  }
}
