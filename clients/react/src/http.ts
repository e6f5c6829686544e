/** What is asked over HTTP (docs/state-api.md §2): the past of a document. */
import { StateError } from "./errors.js";
import type { Conflict } from "./frames.js";
import type { Json } from "./json.js";
import type { Operation } from "./patch.js";

export type Commit = {
  readonly version: number;
  readonly base?: number;
  readonly ops: readonly Operation[];
  readonly inverse: readonly Operation[];
  readonly actor: string;
  readonly run_id?: string;
  readonly mutation_id?: number;
  readonly reason?: string;
  readonly at: string;
  readonly conflicts?: readonly Conflict[];
};
export type HistoryQuery = {
  readonly after?: number;
  readonly before?: number;
  readonly limit?: number;
  readonly actor?: string;
  readonly runId?: string;
  readonly path?: string;
};
/** To a version, or without what one run did. */
export type RollbackTarget = number | { readonly runId: string };
export type RolledBack = {
  readonly version: number;
  readonly ops: readonly Operation[];
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
};
export type Version = { readonly epoch: string; readonly version: number; readonly data: Json; readonly updated_at: string; readonly updated_by: string };

export class Http {
  #origin: string;
  #token: () => Promise<string | undefined>;
  #fetch: typeof fetch;

  constructor(origin: string, token: () => Promise<string | undefined>, fetcher: typeof fetch) {
    this.#origin = origin;
    this.#token = token;
    this.#fetch = fetcher;
  }

  /** The latest commits, oldest first; from `after` on, or up to `before`, where one is given. */
  async history(doc: string, query: HistoryQuery): Promise<Commit[]> {
    const { runId, ...rest } = query;
    const parameters = Object.entries({ ...rest, run_id: runId }).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]));
    const { commits } = await this.#ask<{ commits: Commit[] }>(doc, `/history?${new URLSearchParams(parameters)}`);
    return commits;
  }

  version(doc: string, version: number): Promise<Version> {
    return this.#ask<Version>(doc, `?version=${version}`);
  }

  rollback(doc: string, target: RollbackTarget, reason?: string): Promise<RolledBack> {
    const to = typeof target === "number" ? { to_version: target } : { run_id: target.runId };
    return this.#ask<RolledBack>(doc, "/rollback", { ...to, ...(reason === undefined ? {} : { reason }) });
  }

  /** Any answer of the API; `body` is posted. */
  async get<T>(path: string, body?: unknown): Promise<T> {
    const token = await this.#token();
    const headers = { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...(body === undefined ? {} : { "content-type": "application/json" }) };
    const init = body === undefined ? { headers } : { method: "POST", headers, body: JSON.stringify(body) };
    const response = await this.#fetch(`${this.#origin}${path}`, init).catch((error: unknown) => {
      throw new StateError({ code: "unavailable", message: `the server cannot be reached: ${String(error)}` });
    });
    if (!response.ok) throw await refusal(response);
    return (await response.json()) as T;
  }

  #ask<T>(doc: string, path: string, body?: unknown): Promise<T> {
    const [type, ...id] = doc.split("/");
    return this.get<T>(`/v1/state/${type}/${encodeURIComponent(id.join("/"))}${path}`, body);
  }
}

async function refusal(response: Response): Promise<StateError> {
  const text = await response.text();
  try {
    const { code, detail, title, version, paths, errors } = JSON.parse(text) as { code: string; detail?: string; title: string; version?: number; paths?: string[]; errors?: { path: string; message: string }[] };
    return new StateError({ code, message: detail ?? title, ...(version === undefined ? {} : { version }), ...(paths ? { paths } : {}), ...(errors ? { errors } : {}) });
  } catch {
    return new StateError({ code: `http_${response.status}`, message: text.slice(0, 200) || response.statusText });
  }
}
