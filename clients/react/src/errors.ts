/** What went wrong, in the words of the state API: `code` is one of docs/state-api.md §2 and §4. */

export type ErrorDetails = {
  readonly code: string;
  readonly message: string;
  readonly version?: number;
  readonly paths?: readonly string[];
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
};

export class StateError extends Error {
  override readonly name = "StateError";
  readonly code: string;
  /** The head, where the refusal is about a version. */
  readonly version: number | undefined;
  readonly paths: readonly string[];
  readonly errors: readonly { readonly path: string; readonly message: string }[];

  constructor({ code, message, version, paths = [], errors = [] }: ErrorDetails) {
    super(message);
    this.code = code;
    this.version = version;
    this.paths = paths;
    this.errors = errors;
  }
}

/** Whether a mutation that was refused so may be sent again as it is. Such a refusal does not use up its number. */
export function isPassing(code: string): boolean {
  return ["overloaded", "rate_limited", "unavailable", "storage_full", "unsubscribed"].includes(code);
}
