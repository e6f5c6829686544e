/** The runs of an agent on one thread, whoever started them. */
import type { SharedDocument } from "../document.js";
import { StateError } from "../errors.js";
import type { Http } from "../http.js";
import type { Json } from "../json.js";
import type { Runs } from "./binding.js";

/** Of `lifecycle/agent:<id>`. */
export type Standing = { readonly last_run?: { readonly run_id: string } };

/** Most runs are known by what they write; those that write nothing, by what their agent is at. */
export function runsOf(http: Http, agentId: string, thread: string, [document, standing]: [SharedDocument<Json>, SharedDocument<Standing>]): Runs {
  const list = `/v1/runs?${new URLSearchParams({ agent: agentId, thread })}`;
  return {
    onRun(listener) {
      // What went before is shown by the page itself, which replays the thread that it opens.
      let isNew = false;
      let latest: string | undefined;
      const look = () => {
        const { state, status } = standing.getSnapshot();
        const runId = state?.last_run?.run_id;
        if (isNew && runId !== undefined && runId !== latest) listener(runId);
        latest = runId;
        isNew ||= status === "live" || status === "closed";
      };
      look();
      const stops = [document.onRun((runId) => (isNew ? listener(runId) : undefined)), standing.subscribe(look)];
      return () => stops.forEach((stop) => stop());
    },
    async ended() {
      const page = await answered(http.get<{ items: { run_id: string; finished_at?: string }[] }>(list), undefined);
      return page?.items.filter(({ finished_at }) => finished_at !== undefined).map(({ run_id }) => run_id);
    },
    async isOfThread(runId) {
      const { thread_id } = await answered(http.get<{ thread_id: string }>(`/v1/runs/${encodeURIComponent(runId)}`), { thread_id: "" });
      return thread_id === thread;
    },
  };
}

/** What may not be read, or cannot be just now, is shown when the thread is opened again. */
async function answered<T, O>(answer: Promise<T>, otherwise: O): Promise<T | O> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof StateError) return otherwise;
    throw error;
  }
}
