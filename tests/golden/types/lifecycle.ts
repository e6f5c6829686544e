// Written from the schema of `lifecycle` documents: change the schema, not this file.

/** Where a run (`lifecycle/<run_id>`) or an agent (`lifecycle/agent:<id>`) stands; written by the runtime alone. */
export type Lifecycle = RunLifecycle | AgentLifecycle;

export interface RunLifecycle {
  agent: string;
  attempt: number;
  cause: Cause;
  run_id: string;
  status: RunStatus;
  steps: number;
  thread_id: string;
  usage: RunUsage;
  error?: RunLifecycleError;
  finished_at?: string;
  /** Calls that the browser is to answer. */
  pending_tool_calls?: string[];
  /** RFC 3339; of runs that waited. */
  queued_at?: string;
  /** Of the latest attempt; absent while it never started. */
  started_at?: string;
}

export interface Cause {
  chain: string[];
  depth: number;
  type: "user" | "api" | "state" | "cron" | "interval" | "webhook" | "agent" | "start";
  agent?: string;
  doc?: string;
  name?: string;
  run_id?: string;
}

export interface RunLifecycleError {
  code: string;
  message: string;
}

export type RunStatus = "queued" | "running" | "waiting" | "succeeded" | "failed" | "cancelled" | "budget_exceeded" | "superseded" | "dead";

export interface RunUsage {
  by_model: ModelUsage[];
  input_tokens: number;
  output_tokens: number;
  total_tokens: number;
  /** Absent when no price is known for any of it. */
  cost_usd?: number;
}

export interface ModelUsage {
  input_tokens: number;
  /** `provider/model`, as far as it is known. */
  model: string;
  output_tokens: number;
  total_tokens: number;
  cost_usd?: number;
}

export interface AgentLifecycle {
  agent: string;
  /** How many runs are at work. */
  live: number;
  paused: boolean;
  /** How many runs wait. */
  queued: number;
  status: "ready" | "paused" | "disabled" | "invalid" | "absent";
  today: AgentLifecycleToday;
  last_run?: AgentLifecycleLastRun;
}

export interface AgentLifecycleLastRun {
  run_id: string;
  status: RunStatus;
  finished_at?: string;
}

export interface AgentLifecycleToday {
  /** In UTC, as 2026-01-31. */
  day: string;
  /** That are over. */
  runs: number;
  usage: RunUsage;
}
