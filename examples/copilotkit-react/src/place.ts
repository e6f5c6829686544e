/** Where the user is: runtime, agent and thread, kept in the address so that a reload or a shared link finds the same conversation. */
import { useCallback, useEffect, useState } from "react";

export type Transport = "rest" | "single" | "auto";
export type Place = { agent: string | null; thread: string | null };

const query = new URLSearchParams(window.location.search);

export const runtimeUrl: string =
  query.get("runtimeUrl") ?? import.meta.env.VITE_RUNTIME_URL ?? "http://127.0.0.1:7070/api/copilotkit";

export const transport: Transport = readTransport(query.get("transport"));

/** `classic` shows the older components of `@copilotkit/react-ui` instead. */
export const classic: boolean = query.get("ui") === "classic";

function readTransport(text: string | null): Transport {
  return text === "rest" || text === "single" ? text : "auto";
}

function read(): Place {
  const now = new URLSearchParams(window.location.search);
  return { agent: now.get("agent"), thread: now.get("thread") };
}

/** The thread this browser last used with an agent; a new one for an agent never met. */
export function threadOf(agent: string): string {
  return localStorage.getItem(`coagent.thread.${agent}`) ?? crypto.randomUUID();
}

/** For every way into a thread: the picker, the list, a link, the Back button. */
export function remember(agent: string, thread: string): void {
  localStorage.setItem("coagent.agent", agent);
  localStorage.setItem(`coagent.thread.${agent}`, thread);
}

export function lastAgent(): string | null {
  return localStorage.getItem("coagent.agent");
}

export function usePlace(): { place: Place; go: (agent: string, thread: string, how?: "push" | "replace") => void } {
  const [place, setPlace] = useState(read);
  useEffect(() => {
    const back = () => setPlace(read());
    window.addEventListener("popstate", back);
    return () => window.removeEventListener("popstate", back);
  }, []);
  const go = useCallback((agent: string, thread: string, how: "push" | "replace" = "push") => {
    const url = new URL(window.location.href);
    url.searchParams.set("agent", agent);
    url.searchParams.set("thread", thread);
    window.history[how === "push" ? "pushState" : "replaceState"](null, "", url);
    setPlace({ agent, thread });
  }, []);
  return { place, go };
}
