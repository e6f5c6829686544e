/** The frames of docs/state-api.md §4. */
import type { Json } from "./json.js";
import type { Intent } from "./intents.js";
import type { Edit } from "./patch.js";
import type { Proposal } from "./proposal.js";

export type Position = { readonly epoch: string; readonly version: number };
export type Conflict = { readonly path: string; readonly version: number; readonly actor: string; readonly lost?: Json };
export type Peers = { readonly [key: string]: { readonly principal: string; readonly data: Json } };

/** What travels on a channel. */
export type Subscribe = {
  readonly type: "subscribe";
  readonly channel: number;
  readonly doc: string;
  readonly since?: Position;
  readonly create?: Json;
  readonly presence?: boolean;
};
export type Mutate = Proposal & {
  readonly type: "mutate";
  readonly channel: number;
  readonly client_id: string;
  readonly mutation_id: number;
  readonly base?: number;
  readonly reason?: string;
};
export type ChannelFrame =
  | Subscribe
  | Mutate
  | { readonly type: "unsubscribe"; readonly channel: number }
  | { readonly type: "presence"; readonly channel: number; readonly data?: Json };

export type ClientFrame =
  | ChannelFrame
  | { readonly type: "hello"; readonly client_id: string; readonly token?: string; readonly protocol: 1 }
  | { readonly type: "ping" };

export type Welcome = {
  readonly type: "welcome";
  readonly connection_id: string;
  readonly heartbeat_ms: number;
  readonly limits: { readonly frame_bytes: number };
  readonly principal?: string;
};
export type Delta = {
  readonly type: "delta";
  readonly channel: number;
  readonly from: number;
  readonly to: number;
  readonly ops: readonly Edit[];
  readonly actor: string;
  readonly run_id?: string;
  readonly origin?: { readonly client_id: string; readonly mutation_id: number };
  readonly at: string;
};
export type Snapshot = { readonly type: "snapshot"; readonly channel: number; readonly epoch: string; readonly version: number; readonly data: Json; readonly reason: string };
export type Ack = { readonly type: "ack"; readonly channel: number; readonly mutation_id: number; readonly version: number; readonly conflicts?: readonly Conflict[] };
export type Reject = {
  readonly type: "reject";
  readonly channel: number;
  readonly mutation_id: number;
  readonly code: string;
  readonly message: string;
  readonly version?: number;
  readonly paths?: readonly string[];
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
  readonly expect?: number;
  readonly retry_ms?: number;
};
export type Told =
  | Snapshot
  | Delta
  | Ack
  | Reject
  | { readonly type: "deleted"; readonly channel: number; readonly version: number }
  | { readonly type: "live"; readonly channel: number; readonly version: number }
  | { readonly type: "presence"; readonly channel: number; readonly you?: string; readonly peers: Peers }
  | { readonly type: "error"; readonly channel: number; readonly code: string; readonly message: string };
export type ServerFrame =
  | Told
  | Welcome
  | { readonly type: "error"; readonly channel?: undefined; readonly code: string; readonly message: string }
  | { readonly type: "goaway"; readonly reason: string; readonly retry_ms: number }
  | { readonly type: "pong" };

export type { Intent };
