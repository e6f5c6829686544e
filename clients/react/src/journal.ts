/** Where edits wait that the server has not decided yet, so that a reload or a killed tab loses none. */
import type { Confirmed, Kept } from "./replica.js";

/** Edits of one document, kept by one client: `owner` is its id. */
export type Queue = { readonly owner: string; readonly doc: string; readonly kept: Kept };

export interface Journal {
  /** Resolves when it is durable: the edits of `owner`, instead of those it kept before and of those of `adopted` owners. */
  keep(owner: string, doc: string, kept: Kept, adopted: readonly string[]): Promise<void>;
  /** Everything that waits, whoever made it. */
  queues(): Promise<Queue[]>;
  /** The document as it was seen last. */
  seen(doc: string): Promise<Confirmed | undefined>;
}

/** Nothing outlives the process. */
export const forgetful: Journal = {
  keep: () => Promise.resolve(),
  queues: () => Promise.resolve([]),
  seen: () => Promise.resolve(undefined),
};
