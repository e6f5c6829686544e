/** Turns what CopilotKit reports as errors into sentences, and keeps the last few until the next run begins. */
import { useCopilotKit } from "@copilotkit/react-core/v2";
import { useCallback, useEffect, useState } from "react";

export type Notice = { code: string; text: string };
export type Report = { error: Error; code: string };
export type NoticesProps = { notices: Notice[]; report: (failure: Report) => void; clearNotices: () => void };

const QUESTION_LOST = "A question waits for its answer. If you do not see it, reload the page.";
export const questionFirst: Report = { code: "question_waits", error: new Error("Answer the question first. What you wrote stays in the box.") };
export const questionLost: Report = { code: "question_lost", error: new Error(QUESTION_LOST) };

export function useNotices(): NoticesProps {
  const [notices, setNotices] = useState<Notice[]>([]);
  const report = useCallback(({ error, code }: Report) => {
    const notice = { code, text: sentence(error.message) };
    setNotices((old) => (old.some((other) => other.text === notice.text) ? old : [...old, notice].slice(-3)));
  }, []);
  const clearNotices = useCallback(() => setNotices((old) => (old.length === 0 ? old : [])), []);
  return { notices, report, clearNotices };
}

/** For components under a CopilotKit of their own, whose errors the page's one does not hear of. */
export function useReportsOfKit(report: NoticesProps["report"]): void {
  const { copilotkit } = useCopilotKit();
  useEffect(() => {
    const subscription = copilotkit.subscribe({ onError: report });
    return () => subscription.unsubscribe();
  }, [copilotkit, report]);
}

/** `HTTP 409: {"error":"Thread is busy",…}` becomes what the body says. */
export function sentence(message: string): string {
  if (/pending interrupt\(s\) not addressed/.test(message)) return QUESTION_LOST;
  const http = /^HTTP (\d{3}): ?([\s\S]*)$/.exec(message);
  if (!http) return message === "Failed to fetch" ? "The runtime cannot be reached." : capital(message);
  const [, status = "", body = ""] = http;
  if (body.includes("thread_busy")) return "Another run is still working in this thread. Wait for it to end, or stop it.";
  try {
    const said: { error?: unknown; message?: unknown } = JSON.parse(body);
    const text = [said.error, said.message].filter((part) => typeof part === "string").join(": ");
    return text === "" ? `The runtime answered ${status}.` : `${capital(text)} (${status})`;
  } catch {
    return `The runtime answered ${status}${body ? `: ${body}` : "."}`;
  }
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
