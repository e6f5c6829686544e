/** The steps of the latest run, as the agent reports them. */
import type { AbstractAgent } from "@copilotkit/react-core/v2";
import { useEffect, useState } from "react";

export type Step = { name: string; state: "running" | "done" | "stopped" };

export function useSteps(agent: AbstractAgent): Step[] {
  const [steps, setSteps] = useState<Step[]>([]);
  useEffect(() => {
    const endOpen = () => setSteps((old) => mark(old, (step) => step.state === "running", "stopped"));
    const subscription = agent.subscribe({
      onRunStartedEvent: () => setSteps([]),
      onStepStartedEvent: ({ event }) => setSteps((old) => [...old, { name: event.stepName, state: "running" }]),
      onStepFinishedEvent: ({ event }) => setSteps((old) => mark(old, (step) => step.name === event.stepName, "done")),
      onRunErrorEvent: endOpen,
      onRunFinalized: endOpen,
      onRunFailed: endOpen,
    });
    return () => subscription.unsubscribe();
  }, [agent]);
  return steps;
}

function mark(steps: Step[], which: (step: Step) => boolean, state: Step["state"]): Step[] {
  return steps.map((step) => (step.state === "running" && which(step) ? { ...step, state } : step));
}

const words: Record<Step["state"], string> = { running: "running", done: "done", stopped: "not finished" };

export function Progress({ steps, running }: { steps: Step[]; running: boolean }) {
  return (
    <section className="panel" data-testid="progress">
      <header className="panel-head">
        <h2>Progress</h2>
        <span className="chip" data-testid="run-state" data-running={running}>
          {running ? "Working" : "Idle"}
        </span>
      </header>
      {steps.length === 0 ? (
        <p className="quiet">{running ? "No step reported yet." : "Steps of a run appear here."}</p>
      ) : (
        <ol className="steps">
          {steps.map((step, index) => (
            <li key={`${index}-${step.name}`} data-testid="step" data-state={step.state}>
              <i aria-hidden="true" />
              <span>{step.name}</span>
              <small>{words[step.state]}</small>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
