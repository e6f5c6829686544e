/** The package as it is published, in an empty project. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Server, startServer } from "./house/server.js";

const root = path.resolve(import.meta.dirname, "..");
const project = mkdtempSync(path.join(tmpdir(), "coagent-empty-"));
let server: Server;

beforeAll(async () => {
  server = await startServer();
  const [{ filename }] = JSON.parse(npm(root, "pack", "--json", "--pack-destination", project)) as [{ filename: string }];
  writeFileSync(path.join(project, "package.json"), JSON.stringify({ name: "empty", private: true, type: "module" }));
  const modules = ["ws", "react", "@types/react"].map((name) => `${name}@${installed(name)}`);
  npm(project, "install", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error", path.join(project, filename), ...modules);
}, 240_000);
afterAll(async () => {
  await server?.stop();
  rmSync(project, { recursive: true, force: true });
});

function npm(cwd: string, ...args: string[]): string {
  return execFileSync("npm", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

function installed(name: string): string {
  return (JSON.parse(readFileSync(path.join(root, "node_modules", name, "package.json"), "utf8")) as { version: string }).version;
}

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
  writeFileSync(path.join(project, "five.js"), program);
  expect(execFileSync(process.execPath, ["five.js"], { cwd: project, encoding: "utf8", timeout: 30_000 })).toBe("{ count: 1 }\n");
});

test("its types are found by either way of resolving modules, and there is nothing to miss at run time", () => {
  const page = `
    import { useSharedState, SharedStateProvider, StateHistory, Presence, ConnectionStatus, SharedState } from "coagent-runtime/react";
    import { StateClient, type StateError } from "coagent-runtime";
    export function Page() {
      const { state, updateState, connected, error } = useSharedState<{ n: number }>({ stateType: "shared", stateId: "a", initialState: { n: 0 } });
      const refusal: StateError | null = error;
      return <button onClick={() => updateState({ n: state.n + 1 })}>{String(connected)} {refusal?.code}</button>;
    }
    export { SharedStateProvider, StateHistory, Presence, ConnectionStatus, SharedState, StateClient };
  `;
  writeFileSync(path.join(project, "page.tsx"), page);
  const tsc = path.join(root, "node_modules/.bin/tsc");
  for (const [module, resolution] of [["nodenext", "nodenext"], ["esnext", "bundler"]] as const) {
    const flags = ["--noEmit", "--strict", "--jsx", "react-jsx", "--module", module, "--moduleResolution", resolution, "--target", "es2022", "page.tsx"];
    execFileSync(tsc, flags, { cwd: project, stdio: ["ignore", "inherit", "inherit"] });
  }
  const names = execFileSync(process.execPath, ["--input-type=module", "-e", 'console.log(Object.keys(await import("coagent-runtime/react")).sort().join())'], { cwd: project, encoding: "utf8" });
  expect(names.trim()).toBe("ConnectionStatus,Presence,SharedState,SharedStateProvider,StateHistory,useClientState,useSharedState,useStateClient");
});
