/** Web Locks as signs of life: a tab holds the lock of its name until it is gone, however it went. */

export function canShare(): boolean {
  return typeof navigator !== "undefined" && "locks" in navigator && typeof BroadcastChannel !== "undefined" && typeof document !== "undefined";
}

export function lifeOf(scope: string, tab: string): string {
  return `coagent:tab:${scope}:${tab}`;
}

/** Resolves when the lock is held; it is until `ended`. */
export function holdLife(scope: string, tab: string, ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => void whenGranted(lifeOf(scope, tab), ended, () => resolve()));
}

/** Waits for a lock and holds it until `ended` or released. Resolves when it is given up, or was never had. */
export async function whenGranted(name: string, ended: AbortSignal, granted: (release: () => void) => void): Promise<void> {
  try {
    await navigator.locks.request(name, { signal: ended }, () => {
      if (ended.aborted) return;
      return new Promise<void>((release) => {
        ended.addEventListener("abort", () => release(), { once: true });
        granted(release);
      });
    });
  } catch (error) {
    if (!ended.aborted) throw error;
  }
}

/** Does `work` if nobody holds the lock now. */
export async function ifFree(name: string, work: () => Promise<void>): Promise<void> {
  await navigator.locks.request(name, { ifAvailable: true }, (lock) => (lock ? work() : Promise.resolve()));
}
