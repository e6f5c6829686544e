// What the generated types take and what they refuse; each refusal is expected and would be told if it were taken.
import type { Board } from "../golden/types/board.js";
import type { Lifecycle, RunStatus } from "../golden/types/lifecycle.js";
import type { Task } from "../golden/types/task.js";
import type { WorkItems } from "../golden/types/work_items.js";

export const task: Task = { title: "t", status: "new", progress: 0.5, anything: [1] };
export const board: Board = {
  name: "b",
  columns: [{ id: "a", cards: [{ id: "c", below: [{ id: "d" }], free: 1 }] }],
  owner: null,
  tags: ["red", null, 3, true],
  special: { name: "ann", since: "2026-01-01" },
  nested: { deep: { er: true } },
  "with-dash": true,
  shape: [1],
};
export const items: WorkItems = [{ n: 1 }, {}];

export const stands = (it: Lifecycle): RunStatus | number => ("run_id" in it ? it.status : it.live);

// @ts-expect-error a task has a title
export const untitled: Task = { status: "new" };
// @ts-expect-error no such state
export const idle: Task = { title: "t", status: "idle" };
// @ts-expect-error no other members
export const more: Board = { name: "b", columns: [], other: 1 };
// @ts-expect-error not one of the tags
export const blue: Board = { name: "b", columns: [], tags: ["blue"] };
