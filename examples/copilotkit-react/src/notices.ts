/** Turns what CopilotKit reports as errors into sentences, and keeps the last few until the next run begins. */
import { useCallback, useState } from "react";

export type Notice = { code: string; text: string };
export type Report = { error: Error; code: string };

export function useNotices(): { notices: Notice[]; report: (event: Report) => void; clear: () => void } {
  const [notices, setNotices] = useState<Notice[]>([]);
  const report = useCallback(({ error, code }: Report) => {
    const notice = { code, text: sentence(error.message) };
    setNotices((old) => (old.some((other) => other.text === notice.text) ? old : [...old, notice].slice(-3)));
  }, []);
  const clear = useCallback(() => setNotices((old) => (old.length === 0 ? old : [])), []);
  return { notices, report, clear };
}

/** `HTTP 409: {"error":"Thread is busy",…}` becomes what the body says. */
export function sentence(message: string): string {
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
