/** Why nobody can be talked to: there are no definitions, or there are and none of them can be served. */
import { useEffect, useState } from "react";
import { Message } from "./Message";
import { runtimeUrl } from "./place";

type Defined = { id: string; status: string; errors: { file: string; line?: number; column?: number; message: string }[] };

/** As many agents are named here; the runtime's own page has them all. */
const SHOWN = 5;
const startPage = new URL("/", runtimeUrl).href;

export function NoAgents() {
  const defined = useDefined();
  if (defined === null) return null;
  if (defined.length === 0) {
    return (
      <Message title="This runtime has no agents yet" testId="no-agents">
        <p>Put a definition into its agents folder, then reload this page.</p>
      </Message>
    );
  }
  const broken = defined.filter(({ status }) => status === "invalid");
  return (
    <Message title="No agent of this runtime can be served" testId="no-usable-agents">
      <p>
        {broken.length === 0 ? "Its definitions are disabled." : "Its definitions cannot be used as they are."} Change them, then reload this
        page.
      </p>
      <ul className="problems">
        {broken.slice(0, SHOWN).map(({ id, errors: [first] }) => (
          <li key={id} data-testid="problem">
            <code className="place">{first ? `${first.file}:${first.line ?? 1}:${first.column ?? 1}` : id}</code>
            {first && <Words text={first.message} />}
          </li>
        ))}
      </ul>
      <p>
        The whole list is on the <a href={startPage}>start page of the runtime</a>; <code>coagent check</code> prints it.
      </p>
    </Message>
  );
}

/** A sentence of the runtime's, in which names stand between backticks. */
function Words({ text }: { text: string }) {
  const parts = text.split("`");
  if (parts.length % 2 === 0) return text;
  return parts.map((part, index) => (index % 2 === 0 ? part : <code key={index}>{part}</code>));
}

/** The agents that are defined, whether they can be served or not; none, where the runtime does not tell. */
function useDefined(): Defined[] | null {
  const [defined, setDefined] = useState<Defined[] | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    fetch(new URL("/v1/agents", runtimeUrl), { signal: stop.signal })
      .then(async (response) => (response.ok ? ((await response.json()) as { items: Defined[] }).items : []))
      .catch(() => [])
      .then((items) => stop.signal.aborted || setDefined(items));
    return () => stop.abort();
  }, []);
  return defined;
}
