/** Writes down what there is of one document, one transaction at a time: edits at once, what others wrote when there is a pause. */
import type { Journal } from "./journal.js";
import type { Kept, Pending } from "./replica.js";

/** Losing what others wrote costs only a longer catching up. */
const PAUSE_MS = 500;

export type Surroundings = {
  readonly journal: Journal;
  readonly owner: string;
  readonly doc: string;
  readonly look: () => Kept;
  readonly written: () => void;
  readonly failed: (error: unknown) => void;
};

export class Keeper {
  #around: Surroundings;
  /** Edits that would survive this tab. */
  #safe = new Set<string>();
  /** Whether edits are written down that have to go when they are decided. */
  #hasEdits = false;
  #adopted: readonly string[] = [];
  #dirty = false;
  #writing: Promise<void> | null = null;
  #later: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** The next writing replaces what these owners kept of the document. */
  adopt(owners: readonly string[]): void {
    this.#adopted = owners;
  }

  isSafe(edit: Pending): boolean {
    return this.#safe.has(nameOf(edit));
  }

  get isIdle(): boolean {
    return !this.#hasEdits && !this.#writing;
  }

  /** Resolves when what there is now is written down. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  save(): void {
    if (this.#isStopped) return;
    if (this.#around.look().pending.length > 0 || this.#hasEdits) this.#write();
    else this.#later ??= setTimeout(() => this.#write(), PAUSE_MS);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#later);
  }

  #write(): void {
    clearTimeout(this.#later);
    this.#later = undefined;
    this.#dirty = true;
    this.#writing ??= this.#writeAll();
  }

  /** What changes while something is written is written together after it. */
  async #writeAll(): Promise<void> {
    const { journal, owner, doc, look, written, failed } = this.#around;
    while (this.#dirty) {
      this.#dirty = false;
      const kept = look();
      try {
        await journal.keep(owner, doc, kept, this.#adopted);
        this.#adopted = [];
      } catch (error) {
        failed(error);
      }
      this.#hasEdits = kept.pending.length > 0;
      this.#safe = new Set(kept.pending.map(nameOf));
      if (this.#dirty) written();
    }
    this.#writing = null;
    written();
  }
}

function nameOf({ client, id }: Pending): string {
  return `${client}:${id}`;
}
