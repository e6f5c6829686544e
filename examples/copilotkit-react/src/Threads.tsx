/** The conversations with an agent: the one that is open, those to go back to, their names, their end. */
import { type AbstractAgent, useThreads } from "@copilotkit/react-core/v2";
import { useEffect, useState } from "react";

type Thread = ReturnType<typeof useThreads>["threads"][number];
type Props = {
  agent: AbstractAgent;
  agentId: string;
  threadId: string;
  onOpen: (thread: string) => void;
  onNew: () => void;
  onFailure: (failure: { error: Error; code: string }) => void;
};

export function Threads({ agent, agentId, threadId, onOpen, onNew, onFailure }: Props) {
  const list = useThreads({ agentId, limit: 30 });
  const { threads, refetchThreads, renameThread, deleteThread } = list;
  const failed = (error: unknown) => onFailure({ error: error as Error, code: "threads" });

  // Nothing tells this list of runs, so it looks again when one begins or ends here.
  useEffect(() => {
    const subscription = agent.subscribe({ onRunStartedEvent: () => refetchThreads(), onRunFinalized: () => refetchThreads() });
    return () => subscription.unsubscribe();
  }, [agent, refetchThreads]);

  // A thread is called by its first words until somebody finds a better name.
  const current = threads.find((thread) => thread.id === threadId);
  const firstWords = wordsOf(agent);
  const isUnnamed = current !== undefined && current.name === null && firstWords !== "" && !agent.isRunning;
  useEffect(() => {
    if (isUnnamed) renameThread(threadId, firstWords).catch(() => undefined);
  }, [isUnnamed, threadId, firstWords, renameThread]);

  const remove = (thread: Thread) =>
    deleteThread(thread.id).then(() => {
      if (thread.id === threadId) onNew();
    }, failed);

  return (
    <nav className="threads" aria-label="Threads" aria-busy={list.isMutating} data-testid="threads">
      <h2>Threads</h2>
      {threads.length === 0 ? (
        <p className="quiet" data-testid="no-threads">
          {list.isLoading ? "Looking…" : list.error ? "The threads cannot be listed." : "Your conversations will be listed here."}
        </p>
      ) : (
        <ul>
          {threads.map((thread) => (
            <Row
              key={thread.id}
              thread={thread}
              isCurrent={thread.id === threadId}
              isBusy={thread.id === threadId && agent.isRunning}
              onOpen={() => onOpen(thread.id)}
              onRename={(name) => renameThread(thread.id, name).catch(failed)}
              onDelete={() => remove(thread)}
            />
          ))}
        </ul>
      )}
      {list.hasMoreThreads && (
        <button type="button" className="button plain" data-testid="more-threads" disabled={list.isFetchingMoreThreads} onClick={list.fetchMoreThreads}>
          Show more
        </button>
      )}
    </nav>
  );
}

type RowProps = {
  thread: Thread;
  isCurrent: boolean;
  isBusy: boolean;
  onOpen: () => void;
  onRename: (name: string) => void;
  onDelete: () => void;
};

function Row({ thread, isCurrent, isBusy, onOpen, onRename, onDelete }: RowProps) {
  const [mode, setMode] = useState<"shown" | "renaming" | "deleting">("shown");
  const name = thread.name ?? "New conversation";
  const rest = { "data-testid": "thread", "data-current": isCurrent, "data-mode": mode };
  if (mode === "renaming") {
    const save = (text: string) => {
      if (text.trim() !== "" && text.trim() !== name) onRename(text.trim());
      setMode("shown");
    };
    return (
      <li {...rest}>
        <input
          type="text"
          aria-label={`Name of ${name}`}
          data-testid="thread-name-input"
          defaultValue={name}
          maxLength={200}
          autoFocus
          onFocus={(event) => event.target.select()}
          onBlur={(event) => save(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter") save(event.currentTarget.value);
            if (event.key === "Escape") setMode("shown");
          }}
        />
      </li>
    );
  }
  if (mode === "deleting") {
    return (
      <li {...rest}>
        <span className="thread-question">Delete it?</span>
        <button type="button" className="button danger" data-testid="confirm-delete" autoFocus onClick={onDelete}>
          Delete
        </button>
        <button type="button" className="button plain" onClick={() => setMode("shown")}>
          Keep
        </button>
      </li>
    );
  }
  return (
    <li {...rest}>
      <button type="button" className="thread-open" aria-current={isCurrent} title={name} onClick={onOpen}>
        <span className="thread-name" data-testid="thread-name">
          {name}
        </span>
        <small>{when(thread.updatedAt)}</small>
      </button>
      <span className="thread-actions">
        <button type="button" className="icon-button" aria-label={`Rename ${name}`} data-testid="rename-thread" onClick={() => setMode("renaming")}>
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M10.8 2.6l2.6 2.6L5.6 13H3v-2.6zM9.2 4.2l2.6 2.6" />
          </svg>
        </button>
        <button
          type="button"
          className="icon-button"
          aria-label={`Delete ${name}`}
          data-testid="delete-thread"
          disabled={isBusy}
          onClick={() => setMode("deleting")}
        >
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.6 8.5h5.8l.6-8.5" />
          </svg>
        </button>
      </span>
    </li>
  );
}

/** The first thing the user said, short enough for a name. */
function wordsOf(agent: AbstractAgent): string {
  const content = agent.messages.find((message) => message.role === "user")?.content;
  const text = typeof content === "string" ? content : (content ?? []).map((part) => (part.type === "text" ? part.text : "")).join(" ");
  const line = text.trim().replace(/\s+/g, " ");
  return line.length > 60 ? `${line.slice(0, 59).trimEnd()}…` : line;
}

/** The time of today, the day of everything before. */
function when(timestamp: string): string {
  const then = new Date(timestamp);
  const isToday = then.toDateString() === new Date().toDateString();
  return then.toLocaleString(undefined, isToday ? { hour: "2-digit", minute: "2-digit" } : { day: "numeric", month: "short" });
}
