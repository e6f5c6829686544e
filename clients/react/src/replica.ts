/** One document as one client sees it: what the server confirmed, and this client's edits on top until they are decided. Pure. */
import { diff } from "./diff.js";
import type { Delta, Position } from "./frames.js";
import { type Json, same } from "./json.js";
import { applyWhatFits, type Edit } from "./patch.js";
import { carried, effects, type Proposal } from "./proposal.js";
import { rebase } from "./rebase.js";

/** An edit that the server has not decided yet, as far as this client knows. */
export type Pending = {
  /** Under which it is known for ever, whoever sends it. */
  readonly client: string;
  readonly id: number;
  readonly reason?: string;
  /** As it is sent: made on `base`, or on the head where there is none. */
  readonly sent: Proposal;
  readonly base?: Position;
  /** As it is seen: made on what is confirmed with the pending edits before it. `null` when nothing is left of it. */
  readonly seen: Proposal | null;
  /** The version that holds it, once the server has said so. */
  readonly accepted?: number;
};

export type Confirmed = Position & { readonly data: Json | undefined };

export type Kept = { readonly confirmed: Confirmed; readonly pending: readonly Pending[] };

export class Replica {
  #confirmed: Confirmed;
  #pending: readonly Pending[] = [];

  constructor(initial: Json | undefined) {
    this.#confirmed = { epoch: "", version: 0, data: initial };
  }

  get confirmed(): Confirmed {
    return this.#confirmed;
  }

  get pending(): readonly Pending[] {
    return this.#pending;
  }

  /** What is seen until something is known. */
  begin(initial: Json | undefined): void {
    this.#confirmed = { ...this.#confirmed, data: initial };
  }

  /** Whether the server, or what was kept of it, has been heard. */
  get isKnown(): boolean {
    return this.#confirmed.version > 0;
  }

  view(): Json | undefined {
    return this.#pending.reduce((value, { seen }) => (seen ? applyWhatFits(value, effects(seen, value)) : value), this.#confirmed.data);
  }

  kept(): Kept {
    return { confirmed: this.#confirmed, pending: this.#pending };
  }

  edit(client: string, id: number, proposal: Proposal, reason?: string): void {
    const base = this.isKnown ? { base: { epoch: this.#confirmed.epoch, version: this.#confirmed.version } } : {};
    this.#pending = [...this.#pending, { client, id, sent: proposal, seen: proposal, ...base, ...(reason === undefined ? {} : { reason }) }];
  }

  /** Goes on from what was kept; own edits made since then stay on top. */
  restore({ confirmed, pending }: Kept): void {
    const own = this.#pending;
    const restored = new Replica(undefined);
    restored.#confirmed = confirmed;
    restored.#pending = pending.map(({ accepted: _, ...edit }) => edit);
    const changed = diff(this.#confirmed.data, restored.view());
    const before = this.#confirmed;
    this.#confirmed = confirmed;
    this.#pending = [...restored.#pending, ...this.#carry(own, changed, before.data)];
  }

  /** The document as a whole; `undefined` when it is deleted. */
  snapshot(epoch: string, version: number, data: Json | undefined): void {
    const before = this.#confirmed;
    // Behind what was confirmed is another past, such as that of a backup.
    const isSameLineage = before.epoch === epoch && version >= before.version;
    const done = isSameLineage ? this.#decidedBy(version) : 0;
    this.#advance({ epoch, version, data }, done);
    if (!isSameLineage) this.#pending = this.#pending.map(({ accepted: _, ...edit }) => this.#onHead(edit));
  }

  /** The server has no such document any more: what was confirmed is no version of anything. */
  lost(): void {
    this.#confirmed = { ...this.#confirmed, epoch: "", version: 0 };
    this.#pending = this.#pending.map(({ base: _, ...edit }) => edit);
  }

  /**
   * The document was deleted while nobody here could hear it: what is seen is `initial`, as before anything was known. Edits of what it
   * was are taken back; answers how many. Who knew that it was deleted wrote to make it again.
   */
  deleted(initial: Json | undefined): number {
    const taken = this.#confirmed.data === undefined ? 0 : this.#pending.length;
    this.#pending = this.#pending.slice(taken);
    this.lost();
    this.begin(initial);
    return taken;
  }

  /** Answers false for a delta that does not follow on what is here. */
  delta({ from, to, ops, origin }: Delta): boolean {
    const { epoch, version, data } = this.#confirmed;
    if (to <= version) return true;
    if (from !== version) return false;
    // What comes after a tombstone starts from nothing.
    const next = { epoch, version: to, data: applyWhatFits(data ?? {}, ops) };
    const first = this.#pending[0];
    const isFirst = first !== undefined && origin?.client_id === first.client && origin.mutation_id === first.id;
    const done = Math.max(isFirst ? 1 : 0, this.#decidedBy(to));
    this.#advance(next, done, done === 0 ? ops : undefined);
    return true;
  }

  /** The first edit is in `version`, or changed nothing. */
  accepted(version: number): void {
    const [first, ...rest] = this.#pending;
    if (!first) return;
    this.#pending = [{ ...first, accepted: version }, ...rest];
    if (version <= this.#confirmed.version) this.#advance(this.#confirmed, 1);
  }

  /** The first edit was refused for good. */
  refused(): void {
    this.#advance(this.#confirmed, 1);
  }

  /** What is waiting of `client` gets consecutive numbers from `first` on, under the name `as`. Answers the number after them. */
  renumber(client: string, first: number, as = client): number {
    let next = first;
    this.#pending = this.#pending.map((edit) => (edit.client === client ? { ...edit, client: as, id: next++ } : edit));
    return next;
  }

  /** The first edit as the difference it makes on what is confirmed; answers false when it makes none any more. */
  anew(): boolean {
    const [first, ...rest] = this.#pending;
    if (!first) return false;
    const { data } = this.#confirmed;
    const edits = first.seen ? effects(first.seen, data) : [];
    if (same(applyWhatFits(data, edits), data)) {
      this.refused();
      return false;
    }
    this.#pending = [this.#onHead(first), ...rest];
    return true;
  }

  #decidedBy(version: number): number {
    const first = this.#pending[0];
    return first?.accepted !== undefined && first.accepted <= version ? 1 : 0;
  }

  /** The first `done` edits are decided and `next` is what the server holds; `theirs` is the change, where it is only that of others. */
  #advance(next: Confirmed, done: number, theirs?: readonly Edit[]): void {
    const before = this.#confirmed;
    const decided = this.#pending.slice(0, done);
    const expected = decided.reduce((value, { seen }) => (seen ? applyWhatFits(value, effects(seen, value)) : value), before.data);
    const rest = this.#carry(this.#pending.slice(done), theirs ?? diff(expected, next.data), expected);
    this.#confirmed = next;
    const [first, ...others] = rest;
    if (!first) {
      this.#pending = [];
      return;
    }
    // What follows a decided edit was made on it, so it is sent as made on the version that holds it. Without a decision the server
    // is told what its author saw, so that it can tell them what they missed.
    const isRebased = done > 0 || first.base === undefined;
    this.#pending = [isRebased ? this.#onHead(first) : first, ...others];
  }

  #onHead(edit: Pending): Pending {
    const { epoch, version } = this.#confirmed;
    return { ...edit, base: { epoch, version }, sent: edit.seen ?? { patch: [] } };
  }

  #carry(pending: readonly Pending[], edits: readonly Edit[], state: Json | undefined): Pending[] {
    if (edits.length === 0) return [...pending];
    let here = state;
    let theirs = edits;
    return pending.map((edit) => {
      const { seen } = edit;
      if (!seen) return edit;
      const own = effects(seen, here);
      const next = { ...edit, seen: carried(seen, theirs, here) };
      theirs = rebase(own, theirs, here).theirs;
      here = applyWhatFits(here, own);
      return next;
    });
  }
}
