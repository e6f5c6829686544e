/** Knows nothing of CopilotKit. */
import { useSharedState } from "coagent-runtime/react";
import { createElement } from "react";
import { show } from "./show.js";

export function Board() {
  const { state, updateState } = useSharedState({ stateType: "shared", stateId: "board", initialState: { count: 0 } });
  return createElement("button", { id: "more", onClick: () => updateState({ count: state.count + 1 }) }, state.count);
}

if (location.pathname.includes("board")) show(createElement(Board));
