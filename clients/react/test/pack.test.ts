/** The package as it is published, in an empty project. */
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { packed } from "./house/packed.js";
import { emptyProject, type Project } from "./house/project.js";
import { type Server, startServer } from "./house/server.js";

let server: Server;
let project: Project;

beforeAll(async () => {
  server = await startServer();
  project = emptyProject(packed(), ["ws", "react", "@types/react"]);
}, 240_000);
afterAll(async () => {
  await server?.stop();
  rmSync(project.folder, { recursive: true, force: true });
});

test("five lines work", () => {
  const program = `
    import { StateClient } from "coagent-runtime";
    import WebSocket from "ws";
    const client = new StateClient({ url: ${JSON.stringify(server.origin)}, WebSocket });
    const board = client.document("shared", "five", { count: 0 });
    board.updateState(({ count }) => ({ count: count + 1 }));
    console.log((await board.until(({ status }) => status === "live")).state);
    client.close();
  `;
  project.write("five.js", program);
  expect(project.node("five.js")).toBe("{ count: 1 }\n");
});

test("its types are found by either way of resolving modules, and there is nothing to miss at run time", () => {
  const page = `
    import { useSharedState, useLiveAgentState, SharedStateProvider, StateHistory, Presence, ConnectionStatus, SharedState } from "coagent-runtime/react";
    import { StateClient, type StateError } from "coagent-runtime";
    export function Page() {
      const { state, updateState, connected, error } = useSharedState<{ n: number }>({ stateType: "shared", stateId: "a", initialState: { n: 0 } });
      const live = useLiveAgentState<{ steps?: string[] }>("planner");
      const refusal: StateError | null = error ?? live.error;
      // @ts-expect-error steps are texts
      const wrong: number[] | undefined = live.state.steps;
      return <button onClick={() => (updateState({ n: state.n + 1 }), live.setState({ steps: [] }))}>{String(connected)} {refusal?.code} {wrong}</button>;
    }
    export { SharedStateProvider, StateHistory, Presence, ConnectionStatus, SharedState, StateClient };
  `;
  project.write("page.tsx", page);
  const tsc = path.resolve(import.meta.dirname, "../node_modules/.bin/tsc");
  for (const [module, resolution] of [["nodenext", "nodenext"], ["esnext", "bundler"]] as const) {
    const flags = ["--noEmit", "--strict", "--jsx", "react-jsx", "--module", module, "--moduleResolution", resolution, "--target", "es2022", "page.tsx"];
    execFileSync(tsc, flags, { cwd: project.folder, stdio: ["ignore", "inherit", "inherit"] });
  }
  const names = project.node("--input-type=module", "-e", 'console.log(Object.keys(await import("coagent-runtime/react")).sort().join())');
  expect(names.trim()).toBe("ConnectionStatus,Presence,SharedState,SharedStateProvider,StateHistory,useClientState,useLiveAgentState,useSharedState,useStateClient");
}, 120_000);
