// Written from the schema of `task` documents: change the schema, not this file.

/** A piece of work that people and agents hand to each other. */
export interface Task {
  status: "new" | "ready" | "running" | "done" | "failed" | "cancelled";
  title: string;
  /** Whose it is: `user:<id>` or `agent:<id>`. */
  assignee?: string;
  /** Why it failed. */
  error?: unknown;
  /** What is to be worked on. */
  input?: unknown;
  labels?: unknown;
  progress?: number;
  /** What came of it. */
  result?: unknown;
  [name: string]: unknown;
}
