/** The frame of the conversation: notices lie over it, and while a question waits what is written waits with it. */
import { type AbstractAgent, useCopilotKit } from "@copilotkit/react-core/v2";
import { type KeyboardEvent, type ReactNode, useEffect } from "react";
import { Notices } from "./Notices";
import { type NoticesProps, questionFirst, questionLost } from "./notices";

type Props = NoticesProps & { agent: AbstractAgent; isEmpty?: boolean; children: ReactNode };

export function Conversation({ agent, isEmpty = false, notices, report, clearNotices, children }: Props) {
  const { copilotkit } = useCopilotKit();
  useEffect(() => {
    clearNotices();
    const subscription = agent.subscribe({ onRunStartedEvent: () => clearNotices() });
    return () => subscription.unsubscribe();
  }, [agent, clearNotices]);

  // The box keeps the text then; Enter alone would do nothing, without a word.
  const sayWhy = ({ key, shiftKey, nativeEvent, target }: KeyboardEvent) => {
    if (key !== "Enter" || shiftKey || nativeEvent.isComposing || !(target instanceof HTMLTextAreaElement)) return;
    if (!isAsked(agent) || target.value.trim() === "") return;
    // CopilotKit takes the card away when an answer does not get through.
    report(copilotkit.interruptElement === null ? questionLost : questionFirst);
  };

  return (
    <section className="chat" aria-label="Conversation" data-empty={isEmpty} data-asked={isAsked(agent)} onKeyDown={sayWhy}>
      <Notices notices={notices} onClose={clearNotices} />
      {children}
    </section>
  );
}

/** Whether the latest run ended with a question that nobody has answered. */
export function isAsked(agent: AbstractAgent): boolean {
  return agent.pendingInterrupts.length > 0 && !agent.isRunning;
}

/** What the empty box says. */
export function placeholder(agent: AbstractAgent): string {
  return isAsked(agent) ? "Answer the question first" : "Write a message";
}
