/** Generated types make the hook typed; checked by the compiler only. */
import type { Task } from "../../../tests/golden/types/task.js";
import { useSharedState } from "../src/react.js";

export function Typed() {
  const { state, updateState, error } = useSharedState<Task>({ stateType: "task", stateId: "t", initialState: { title: "t", status: "new" } });
  updateState({ ...state, status: "ready" });
  updateState((task) => ({ ...task, progress: 0.5 }));
  // @ts-expect-error no such status
  updateState({ ...state, status: "idle" });
  // @ts-expect-error a task has a title
  updateState({ status: "new" });
  const unknown = useSharedState<Task>({ stateType: "task", stateId: "u" }).state;
  // @ts-expect-error without an initial state it may not be known yet
  const title: string = unknown.title;
  return [title, error?.code];
}
