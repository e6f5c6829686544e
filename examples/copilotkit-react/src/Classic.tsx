/** The same thread through `@copilotkit/react-ui`, for applications that still use the first generation of components. */
import "@copilotkit/react-ui/styles.css";
import { CopilotKit, useCoAgent } from "@copilotkit/react-core";
import { CopilotChat } from "@copilotkit/react-ui";
import { runtimeUrl, transport } from "./place";
import type { State } from "./list";

type Props = { agentId: string; threadId: string };

export default function Classic({ agentId, threadId }: Props) {
  const single = transport === "auto" ? undefined : transport === "single";
  return (
    <CopilotKit runtimeUrl={runtimeUrl} useSingleEndpoint={single} agent={agentId} threadId={threadId} showDevConsole={false} enableInspector={false}>
      <main className="workspace classic" data-shown="chat" data-testid="classic">
        <section className="chat" aria-label="Conversation">
          <CopilotChat labels={{ initial: "", placeholder: "Write a message" }} />
        </section>
        <aside className="side" aria-label="Agent">
          <ClassicState agentId={agentId} />
        </aside>
      </main>
    </CopilotKit>
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
