/** The framework-free client of the CoAgent Runtime's shared state. */
export { StateClient, type ClientOptions, type ClientState } from "./client.js";
export { SharedDocument, type DocumentState, type Peer, type Status } from "./document.js";
export { StateError } from "./errors.js";
export type { Conflict } from "./frames.js";
export type { Commit, HistoryQuery, RollbackTarget, RolledBack, Version } from "./http.js";
export { IndexedDbJournal } from "./indexeddb.js";
export type { Intent } from "./intents.js";
export type { Journal, Queue } from "./journal.js";
export type { Json } from "./json.js";
export type { Operation } from "./patch.js";
export type { Proposal } from "./proposal.js";
