/** An agent below the provider of CopilotKit. */
import { CopilotKitContext } from "@copilotkit/react-core/v2/context";
import { useLiveAgentState } from "coagent-runtime/react";
import { createElement } from "react";
import { show } from "./show.js";

const agent = { threadId: "t", isRunning: false, state: {}, setState: (state) => (agent.state = state), subscribe: () => ({ unsubscribe() {} }) };
const core = { agents: {}, runtimeConnectionStatus: "connecting", connectAgent: async () => {} };
const listeners = new Set();
core.subscribe = (listener) => (listeners.add(listener), { unsubscribe: () => listeners.delete(listener) });
// Which agents there are is known a moment later.
setTimeout(() => {
  Object.assign(core, { agents: { planner: agent }, runtimeConnectionStatus: "connected" });
  for (const listener of listeners) listener.onAgentsChanged();
}, 50);

function Agent({ id }) {
  const { state, status, error, setState } = useLiveAgentState(id);
  const add = () => setState((before) => ({ ...before, steps: [...(before.steps ?? []), "mine"] }));
  return createElement("button", { id, onClick: add, "data-status": status, "data-error": error?.code }, JSON.stringify(state));
}

const provided = ({ id }) => createElement(CopilotKitContext.Provider, { value: { copilotkit: core } }, createElement(Agent, { id }));
show(provided({ id: "planner" }), provided({ id: "nobody" }), createElement(Agent, { id: "outside" }));
