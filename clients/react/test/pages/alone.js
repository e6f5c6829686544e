/** Uses both hooks, without CopilotKit. */
import { useLiveAgentState } from "coagent-runtime/react";
import { createElement } from "react";
import { Board } from "./board.js";
import { show } from "./show.js";

function Agent() {
  return createElement("output", null, useLiveAgentState("planner").status);
}

show(createElement(Board), createElement(Agent));
