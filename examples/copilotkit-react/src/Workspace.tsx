/** One agent in one thread: the conversation on one side, the agent's state and progress on the other. */
import { CopilotChat, CopilotChatConfigurationProvider, useAgent } from "@copilotkit/react-core/v2";
import { useEffect, useState } from "react";
import { useInterruptCard } from "./InterruptCard";
import type { Notice } from "./notices";
import { Notices } from "./Notices";
import { Progress, useSteps } from "./Progress";
import type { AgentCard } from "./runtime";
import { StatePanel } from "./StatePanel";
import { usePageTools } from "./tools";

type Props = { agent: AgentCard; threadId: string; notices: Notice[]; clearNotices: () => void };

export function Workspace(props: Props) {
  return (
    <CopilotChatConfigurationProvider agentId={props.agent.id} threadId={props.threadId}>
      <Panes {...props} />
    </CopilotChatConfigurationProvider>
  );
}

function Panes({ agent: card, threadId, notices, clearNotices }: Props) {
  const { agent } = useAgent({ agentId: card.id });
  const steps = useSteps(agent);
  const [shown, setShown] = useState<"chat" | "state">("chat");
  const [highlight, setHighlight] = useState<number | null>(null);
  usePageTools(card.id, setHighlight);
  useInterruptCard(card.id);

  useEffect(() => {
    clearNotices();
    const subscription = agent.subscribe({ onRunStartedEvent: () => clearNotices() });
    return () => subscription.unsubscribe();
  }, [agent, clearNotices]);

  const empty = agent.messages.length === 0 && !agent.isRunning;
  return (
    <main className="workspace" data-shown={shown} data-running={agent.isRunning} data-testid="workspace">
      <nav className="tabs" aria-label="View">
        <button type="button" data-testid="tab-chat" aria-pressed={shown === "chat"} onClick={() => setShown("chat")}>
          Chat
        </button>
        <button type="button" data-testid="tab-state" aria-pressed={shown === "state"} onClick={() => setShown("state")}>
          State
        </button>
      </nav>
      <section className="chat" aria-label="Conversation">
        <Notices notices={notices} onClose={clearNotices} />
        {empty && (
          <div className="welcome" data-testid="welcome">
            <h1>{card.id}</h1>
            <p>{card.description || "Write a message to begin."}</p>
          </div>
        )}
        <CopilotChat
          agentId={card.id}
          threadId={threadId}
          inspectorTools={false}
          labels={{ chatInputPlaceholder: "Write a message", chatDisclaimerText: "" }}
        />
      </section>
      <aside className="side" aria-label="Agent">
        <StatePanel agent={agent} highlight={highlight} />
        <Progress steps={steps} running={agent.isRunning} />
        <p className="thread-id" data-testid="thread-id" title={threadId}>
          Thread <code>{threadId}</code>
        </p>
      </aside>
    </main>
  );
}
