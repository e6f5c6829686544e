/** The journal of a browser. One database holds what all servers and users of this origin wait for, apart by `scope`. */
import type { Journal, Queue } from "./journal.js";
import type { Confirmed, Kept } from "./replica.js";

const DATABASE = "coagent";
const QUEUES = "queues";
const SEEN = "seen";

export class IndexedDbJournal implements Journal {
  #scope: string;
  #database: Promise<IDBDatabase>;

  constructor(scope: string, factory: IDBFactory = indexedDB) {
    this.#scope = scope;
    this.#database = open(factory);
    // Whoever keeps or reads something is told.
    this.#database.catch(() => undefined);
  }

  async keep(owner: string, doc: string, kept: Kept, adopted: readonly string[]): Promise<void> {
    const transaction = (await this.#database).transaction([QUEUES, SEEN], "readwrite");
    const queues = transaction.objectStore(QUEUES);
    const own = [this.#scope, owner, doc];
    for (const other of adopted) queues.delete([this.#scope, other, doc]);
    if (kept.pending.length > 0) queues.put({ owner, doc, kept } satisfies Queue, own);
    else queues.delete(own);
    if (kept.confirmed.version > 0) transaction.objectStore(SEEN).put(kept.confirmed, [this.#scope, doc]);
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
      transaction.onerror = () => reject(transaction.error);
    });
  }

  async queues(): Promise<Queue[]> {
    const store = (await this.#database).transaction(QUEUES).objectStore(QUEUES);
    return answer<Queue[]>(store.getAll(IDBKeyRange.bound([this.#scope], [this.#scope, []])));
  }

  async seen(doc: string): Promise<Confirmed | undefined> {
    const store = (await this.#database).transaction(SEEN).objectStore(SEEN);
    return answer<Confirmed | undefined>(store.get([this.#scope, doc]));
  }
}

function open(factory: IDBFactory): Promise<IDBDatabase> {
  const request = factory.open(DATABASE, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore(QUEUES);
    request.result.createObjectStore(SEEN);
  };
  return answer(request);
}

function answer<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
