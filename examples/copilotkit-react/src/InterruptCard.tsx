/** A run that waits for a person: what it asks, and the answers it can be given. */
import { useAgent, useInterrupt } from "@copilotkit/react-core/v2";
import { useEffect, useState } from "react";

export function useInterruptCard(agentId: string): void {
  const { agent } = useAgent({ agentId, updates: [] });
  // A question belongs to its thread, but CopilotKit keeps it with the agent, and refuses whatever the next thread asks of that.
  useEffect(() => () => void (agent.pendingInterrupts = []), [agent]);
  useInterrupt({
    agentId,
    render: ({ interrupt, event, resolve, cancel }) => (
      <InterruptCard
        key={interrupt?.id ?? "legacy"}
        message={interrupt?.message ?? (typeof event.value === "string" ? event.value : "The agent waits for your decision.")}
        reason={interrupt?.reason ?? null}
        onApprove={() => resolve({ approved: true })}
        onReject={() => resolve({ approved: false })}
        onCancel={() => cancel()}
      />
    ),
  });
}

type Answer = () => Promise<unknown>;
type Props = { message: string; reason: string | null; onApprove: Answer; onReject: Answer; onCancel: Answer };

function InterruptCard({ message, reason, onApprove, onReject, onCancel }: Props) {
  const [sent, setSent] = useState(false);
  const answer = (give: Answer) => () => {
    setSent(true);
    give().catch(() => setSent(false));
  };
  return (
    <div className="card interrupt" data-testid="interrupt">
      <p className="card-kind">{reason ? reason.replaceAll("_", " ") : "decision"}</p>
      <p className="interrupt-message">{message}</p>
      <div className="interrupt-actions">
        <button type="button" className="button primary" data-testid="approve" disabled={sent} onClick={answer(onApprove)}>
          Approve
        </button>
        <button type="button" className="button" data-testid="reject" disabled={sent} onClick={answer(onReject)}>
          Reject
        </button>
        <button type="button" className="button plain" data-testid="dismiss" disabled={sent} onClick={answer(onCancel)}>
          Dismiss
        </button>
      </div>
    </div>
  );
}
