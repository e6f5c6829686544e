/** CopilotKit, where an application has it: asked for when it is first needed, so that pages without it never load it. */
import { createContext, useCallback, useContext, useSyncExternalStore } from "react";
import type { BoundAgent } from "./binding.js";

/** What is used of CopilotKit's core. */
export type Core = {
  readonly agents: { readonly [id: string]: BoundAgent };
  readonly runtimeConnectionStatus: string;
  connectAgent(parameters: { agent: BoundAgent }): Promise<unknown>;
  subscribe(subscriber: { onAgentsChanged(): void; onRuntimeConnectionStatusChanged(): void }): { unsubscribe(): void };
};
/** What its provider provides. */
export type Surrounding = { readonly copilotkit: Core };
type Kit = typeof import("@copilotkit/react-core/v2/context");

let kit: Kit | Error | null = null;
let loading: Promise<void> | null = null;
const listeners = new Set<() => void>();

async function load(): Promise<void> {
  kit = await find();
  for (const listener of listeners) listener();
}

async function find(): Promise<Kit | Error> {
  const needed = "useLiveAgentState needs the package @copilotkit/react-core, 1.74 or later";
  try {
    // Bundlers let a package be missing that is asked for within `try`; some then give an empty module.
    const found = await import("@copilotkit/react-core/v2/context");
    return "CopilotKitContext" in found ? found : new Error(needed);
  } catch (error) {
    return new Error(needed, { cause: error });
  }
}

function subscribeKit(listener: () => void): () => void {
  listeners.add(listener);
  loading ??= load();
  return () => void listeners.delete(listener);
}

/** Stands in for the provider's context until that is known, so that the order of hooks never changes. */
const Unknown = createContext<Surrounding | null>(null);

/** The core of the surrounding provider; `undefined` until it is loaded. */
export function useCore(): Core | undefined {
  const found = useSyncExternalStore(subscribeKit, () => kit, () => null);
  if (found instanceof Error) throw found;
  const surrounding = useContext(found?.CopilotKitContext ?? Unknown);
  if (found && !surrounding) throw new Error("useLiveAgentState needs the provider of CopilotKit above it");
  return surrounding?.copilotkit;
}

/** The agent of this id: `undefined` until the core knows its agents, `null` when it is none of them. */
export function useCoreAgent(core: Core | undefined, agentId: string): BoundAgent | null | undefined {
  const subscribe = useCallback(
    (changed: () => void) => {
      const subscription = core?.subscribe({ onAgentsChanged: changed, onRuntimeConnectionStatusChanged: changed });
      return () => subscription?.unsubscribe();
    },
    [core],
  );
  const look = () => core?.agents[agentId] ?? (core?.runtimeConnectionStatus === "connected" ? null : undefined);
  return useSyncExternalStore(subscribe, look, () => undefined);
}

/** A part of an agent that changes with its runs, its messages or its state. */
export function useOfAgent<T>(agent: BoundAgent | null | undefined, part: (agent: BoundAgent) => T): T | undefined {
  const subscribe = useCallback(
    (changed: () => void) => {
      const told = () => changed();
      const subscription = agent?.subscribe({ onStateChanged: told, onMessagesChanged: told, onRunStartedEvent: told, onRunFinalized: told });
      return () => subscription?.unsubscribe();
    },
    [agent],
  );
  return useSyncExternalStore(subscribe, () => (agent ? part(agent) : undefined), () => undefined);
}
