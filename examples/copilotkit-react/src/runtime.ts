/** What the runtime says about itself: whether it answers, and which agents it has. */
import { useCopilotKit } from "@copilotkit/react-core/v2";
import { useEffect, useState } from "react";

export type Connection = "connecting" | "connected" | "lost";
export type AgentCard = { id: string; description: string };

export function useRuntime(): { connection: Connection; agents: AgentCard[] } {
  const { copilotkit } = useCopilotKit();
  const [, redraw] = useState(0);
  useEffect(() => {
    const subscription = copilotkit.subscribe({
      onAgentsChanged: () => redraw((count) => count + 1),
      onRuntimeConnectionStatusChanged: () => redraw((count) => count + 1),
    });
    redraw((count) => count + 1);
    return () => subscription.unsubscribe();
  }, [copilotkit]);
  const agents = Object.entries(copilotkit.agents).map(([id, agent]) => ({ id, description: agent.description ?? "" }));
  return { connection: connectionOf(copilotkit.runtimeConnectionStatus), agents: withoutAlias(agents) };
}

/** `default` is mostly a second name of an agent that has its own: then that one stands first, and once. */
function withoutAlias(agents: AgentCard[]): AgentCard[] {
  const alias = agents.find(({ id }) => id === "default");
  const others = agents.filter((agent) => agent !== alias);
  const same = others.filter(({ description }) => description === alias?.description);
  return same.length === 1 ? [...same, ...others.filter((agent) => agent !== same[0])] : agents;
}

function connectionOf(status: string): Connection {
  if (status === "connected") return "connected";
  return status === "error" ? "lost" : "connecting";
}
