/** The same thread through `@copilotkit/react-ui`, for applications that still use the first generation of components. */
import "@copilotkit/react-ui/styles.css";
import { CopilotKit, useCoAgent } from "@copilotkit/react-core";
import { useAgent } from "@copilotkit/react-core/v2";
import { CopilotChat } from "@copilotkit/react-ui";
import { Conversation, placeholder } from "./Conversation";
import { useInterruptCard } from "./InterruptCard";
import { type NoticesProps, useReportsOfKit } from "./notices";
import { runtimeUrl, transport } from "./place";
import type { State } from "./list";

type Props = NoticesProps & { agentId: string; threadId: string };

export default function Classic({ agentId, threadId, ...notices }: Props) {
  const single = transport === "auto" ? undefined : transport === "single";
  return (
    <CopilotKit runtimeUrl={runtimeUrl} useSingleEndpoint={single} agent={agentId} threadId={threadId} showDevConsole={false} enableInspector={false}>
      <main className="workspace classic" data-shown="chat" data-testid="classic">
        <ClassicChat agentId={agentId} {...notices} />
        <aside className="side" aria-label="Agent">
          <ClassicState agentId={agentId} />
        </aside>
      </main>
    </CopilotKit>
  );
}

function ClassicChat({ agentId, ...notices }: NoticesProps & { agentId: string }) {
  const { agent } = useAgent({ agentId });
  useReportsOfKit(notices.report);
  useInterruptCard(agentId);
  return (
    <Conversation agent={agent} {...notices}>
      <CopilotChat labels={{ initial: "", placeholder: placeholder(agent) }} />
    </Conversation>
  );
}

function ClassicState({ agentId }: { agentId: string }) {
  const { state } = useCoAgent<State>({ name: agentId });
  return (
    <section className="panel" data-testid="state">
      <header className="panel-head">
        <h2>Shared state</h2>
      </header>
      <pre data-testid="state-json-text">{JSON.stringify(state ?? {}, null, 2)}</pre>
    </section>
  );
}
