/** One agent in one thread: the conversation in the middle, its threads on one side, its state and progress on the other. */
import { CopilotChat, CopilotChatConfigurationProvider, useAgent, useConfigureSuggestions } from "@copilotkit/react-core/v2";
import { useLiveAgentState } from "coagent-runtime/react";
import { useEffect, useState } from "react";
import { Conversation, isAsked, placeholder } from "./Conversation";
import { Description } from "./Description";
import { useInterruptCard } from "./InterruptCard";
import type { NoticesProps } from "./notices";
import type { State } from "./list";
import { Progress, useSteps } from "./Progress";
import { transport } from "./place";
import type { AgentCard } from "./runtime";
import { StatePanel } from "./StatePanel";
import { Threads } from "./Threads";
import { usePageTools } from "./tools";

type Props = NoticesProps & { agent: AgentCard; threadId: string; onThread: (thread: string) => void };

const VIEWS = { threads: "Threads", chat: "Chat", state: "State" };
const FILE_BYTES = 8 << 20;
/** Without somewhere to send to, CopilotKit's box keeps what is written. */
const unsent = { onSubmitMessage: undefined };

export function Workspace(props: Props) {
  return (
    <CopilotChatConfigurationProvider agentId={props.agent.id} threadId={props.threadId}>
      <Panes {...props} />
    </CopilotChatConfigurationProvider>
  );
}

function Panes({ agent: card, threadId, onThread, ...notices }: Props) {
  const { agent } = useAgent({ agentId: card.id });
  const live = useLiveAgentState<State>(card.id, threadId);
  const steps = useSteps(agent);
  const [shown, setShown] = useState<keyof typeof VIEWS>("chat");
  const [isOpen, setOpen] = useState(false);
  const [highlight, setHighlight] = useState<number | null>(null);
  usePageTools(card.id, setHighlight);
  useInterruptCard(card.id);
  useConfigureSuggestions(
    {
      instructions: "Offer short messages that fit the conversation and the agent's state.",
      minSuggestions: 2,
      providerAgentId: card.id,
      consumerAgentId: card.id,
      available: suggestionsFor(isOpen),
    },
    [card.id, isOpen],
  );

  useEffect(() => {
    const opened = () => setOpen(true);
    const subscription = agent.subscribe({ onRunFinalized: opened, onRunFailed: opened });
    return () => subscription.unsubscribe();
  }, [agent]);

  const empty = agent.messages.length === 0 && !agent.isRunning;
  return (
    <main className="workspace" data-shown={shown} data-running={agent.isRunning} data-testid="workspace">
      <nav className="tabs" aria-label="View">
        {Object.entries(VIEWS).map(([view, word]) => (
          <button
            key={view}
            type="button"
            data-testid={`tab-${view}`}
            aria-pressed={shown === view}
            onClick={() => setShown(view as keyof typeof VIEWS)}
          >
            {word}
          </button>
        ))}
      </nav>
      <Threads
        agent={agent}
        agentId={card.id}
        threadId={threadId}
        onOpen={(thread) => (thread === threadId ? setShown("chat") : onThread(thread))}
        onNew={() => onThread(crypto.randomUUID())}
        onFailure={notices.report}
      />
      <Conversation agent={agent} isEmpty={empty} {...notices}>
        {empty && (
          <div className="welcome" data-testid="welcome">
            <h1>{card.id}</h1>
            <Description text={card.description || "Write a message to begin."} />
          </div>
        )}
        <CopilotChat
          agentId={card.id}
          threadId={threadId}
          inspectorTools={false}
          attachments={{
            enabled: true,
            accept: "image/*,application/pdf,text/*",
            maxSize: FILE_BYTES,
            onUploadFailed: ({ message }) => notices.report({ code: "attachment", error: new Error(message) }),
          }}
          input={isAsked(agent) ? unsent : undefined}
          labels={{ chatInputPlaceholder: placeholder(agent), chatDisclaimerText: "" }}
        />
      </Conversation>
      <aside className="side" aria-label="Agent">
        <StatePanel live={live} busy={agent.isRunning} highlight={highlight} />
        <Progress steps={steps} running={agent.isRunning} />
        <p className="thread-id" data-testid="thread-id" title={threadId}>
          Thread <code>{threadId}</code>
        </p>
      </aside>
    </main>
  );
}

/** When CopilotKit asks for suggestions. It gives up what it asked for before the thread's messages had come, so it waits for them. */
function suggestionsFor(isOpen: boolean) {
  if (!isOpen) return "disabled";
  // On the single route it goes on with suggestions it has given up, so an empty page would show them all.
  return transport === "single" ? "after-first-message" : "always";
}
