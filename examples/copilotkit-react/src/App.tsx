import { CopilotKitProvider } from "@copilotkit/react-core/v2";
import { SharedStateProvider } from "coagent-runtime/react";
import { lazy, Suspense, useEffect } from "react";
import { Header } from "./Header";
import { Message } from "./Message";
import { NoAgents } from "./NoAgents";
import { type NoticesProps, useNotices } from "./notices";
import { classic, lastAgent, remember, runtimeUrl, threadOf, transport, usePlace } from "./place";
import { type AgentCard, useRuntime } from "./runtime";
import { Workspace } from "./Workspace";

const Classic = lazy(() => import("./Classic"));
const singleEndpoint = { rest: false, single: true, auto: undefined }[transport];

export function App() {
  const notices = useNotices();
  return (
    <CopilotKitProvider runtimeUrl={runtimeUrl} useSingleEndpoint={singleEndpoint} enableInspector={false} onError={notices.report}>
      <SharedStateProvider url={new URL(runtimeUrl).origin}>
        <Page {...notices} />
      </SharedStateProvider>
    </CopilotKitProvider>
  );
}

function Page(notices: NoticesProps) {
  const last = notices.notices.at(-1);
  const { connection, agents } = useRuntime();
  const { place, go } = usePlace();
  const agent = choose(agents, place.agent);
  const thread = place.agent === agent?.id ? place.thread : null;
  const missing = agent && place.agent && ![agent.id, "default"].includes(place.agent) ? place.agent : null;

  useEffect(() => {
    if (!agent || missing) return;
    if (thread) remember(agent.id, thread);
    else go(agent.id, threadOf(agent.id), "replace");
  }, [agent, thread, missing, go]);

  return (
    <div className="page">
      <Header
        connection={connection}
        agents={agents}
        agent={agent?.id ?? null}
        onAgent={(id) => go(id, threadOf(id))}
        onNewThread={agent ? () => go(agent.id, crypto.randomUUID()) : null}
      />
      {missing ? (
        <Message title={`There is no agent called “${missing}” here`} testId="unknown-agent">
          <p>Choose one of the agents above. Links made for another runtime may name an agent that this one does not have.</p>
        </Message>
      ) : agent && thread ? (
        classic ? (
          <Suspense fallback={<Message title="Opening the classic chat…" testId="opening" />}>
            <Classic key={`${agent.id}/${thread}`} agentId={agent.id} threadId={thread} {...notices} />
          </Suspense>
        ) : (
          <Workspace key={`${agent.id}/${thread}`} agent={agent} threadId={thread} onThread={(id) => go(agent.id, id)} {...notices} />
        )
      ) : connection === "lost" ? (
        <Message title="The runtime does not answer" testId="runtime-lost">
          <p>
            This page expects it at <code>{runtimeUrl}</code>.
          </p>
          {last && <p className="quiet">{last.text}</p>}
          <p>
            Start it with <code>coagent</code>, then try again.
          </p>
          <button type="button" className="button primary" onClick={() => window.location.reload()}>
            Try again
          </button>
        </Message>
      ) : connection === "connected" && agents.length === 0 ? (
        <NoAgents />
      ) : (
        <Message title="Connecting…" testId="connecting" />
      )}
    </div>
  );
}

/** The agent the address names if it exists, else the one used last, else `default`, else the first. */
function choose(agents: AgentCard[], wanted: string | null): AgentCard | null {
  for (const id of [wanted, lastAgent(), "default"]) {
    const found = agents.find((agent) => agent.id === id);
    if (found) return found;
  }
  return agents[0] ?? null;
}
