/** How an agent's reads and writes of the shared state look in the conversation: what it changes, and what came of it. */
import { useRenderTool } from "@copilotkit/react-core/v2";
import { z } from "zod";
import { ToolCard } from "./ToolCard";

const patchInput = z.object({ ops: z.any() });
const setInput = z.object({ path: z.string(), value: z.any() });
const readInput = z.object({ path: z.string().optional() });

export function useStateEdits(agentId: string): void {
  useRenderTool(
    {
      name: "state_patch",
      parameters: patchInput,
      agentId,
      render: ({ status, parameters, result }) => (
        <StateEdit name="state_patch" status={status} input={parameters} result={result} changes={changesOf(parameters.ops)} />
      ),
    },
    [],
  );
  useRenderTool(
    {
      name: "state_set",
      parameters: setInput,
      agentId,
      render: ({ status, parameters, result }) => {
        const changes = parameters.path ? [{ sign: "=", path: parameters.path, value: brief(parameters.value) }] : [];
        return <StateEdit name="state_set" status={status} input={parameters} result={result} changes={changes} />;
      },
    },
    [],
  );
  useRenderTool(
    {
      name: "state_read",
      parameters: readInput,
      agentId,
      render: ({ status, parameters, result }) => (
        <ToolCard name="state_read" title={`Read ${parameters.path || "the state"}`} status={status} input={parameters} result={result} />
      ),
    },
    [],
  );
}

type Change = { sign: string; path: string; value: string };
type Props = { name: string; status: string; input: unknown; result: string | undefined; changes: Change[] };

function StateEdit({ name, status, input, result, changes }: Props) {
  const outcome = outcomeOf(result);
  const refused = outcome?.ok === false;
  return (
    <ToolCard
      name={name}
      title={refused ? "State not changed" : "Change of the state"}
      status={refused ? "refused" : status}
      input={input}
      result={result}
    >
      <ul className="changes">
        {changes.map(({ sign, path, value }, index) => (
          <li key={index} data-testid="state-change">
            <b aria-hidden="true">{sign}</b> <code>{path}</code> {value}
          </li>
        ))}
      </ul>
      {outcome && (
        <small className="quiet" data-testid="state-outcome" data-ok={outcome.ok}>
          {outcome.ok ? `Version ${outcome.version}` : outcome.error}
        </small>
      )}
    </ToolCard>
  );
}

const signs: Record<string, string> = { add: "+", remove: "−", replace: "=", move: "→", copy: "⧉", test: "?" };

/** The operations as far as they have come: while arguments stream, the last one may be half there. */
function changesOf(ops: unknown): Change[] {
  if (!Array.isArray(ops)) return [];
  return ops.filter(isOperation).map(({ op, path, value }) => ({ sign: signs[op] ?? op, path, value: brief(value) }));
}

function isOperation(op: unknown): op is { op: string; path: string; value?: unknown } {
  return typeof op === "object" && op !== null && "op" in op && "path" in op && typeof op.op === "string" && typeof op.path === "string";
}

/** A value in a few words: the title of a thing that has one, else its JSON. */
function brief(value: unknown): string {
  if (value === undefined) return "";
  if (typeof value === "string") return value;
  if (typeof value === "object" && value !== null && "title" in value && typeof value.title === "string") return value.title;
  const text = JSON.stringify(value) ?? "";
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

type Outcome = { ok: true; version: number } | { ok: false; error: string };

function outcomeOf(result: string | undefined): Outcome | null {
  if (result === undefined) return null;
  try {
    const { ok, version, error } = JSON.parse(result) as { ok?: unknown; version?: unknown; error?: unknown };
    return ok === true ? { ok, version: Number(version) } : { ok: false, error: String(error ?? "the run ended before it was made") };
  } catch {
    return { ok: false, error: result };
  }
}
