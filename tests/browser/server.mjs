/** Starts the built runtime on a free port with a store of its own (SQLite, unless COAGENT_STORE names another), and ends it. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

const here = import.meta.dirname;
const binary = path.resolve(here, process.env.COAGENT_BIN ?? "../../target/release/coagent");

/** Whether a restarted runtime still has what it had. */
export const remembers = process.env.COAGENT_STORE !== "memory:";

/** Resolves to `{ origin, runtimeUrl, restart, stop }` once the server says that it listens. */
export async function startRuntime({ agents = path.join(here, "agents") } = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), "coagent-browser-"));
  let running = await spawnRuntime(folder, "127.0.0.1:0", agents);
  return {
    origin: running.origin,
    runtimeUrl: `${running.origin}/api/copilotkit`,
    /** Ends the process and starts another one on the same address and store. */
    async restart() {
      await end(running.child);
      running = await spawnRuntime(folder, new URL(running.origin).host, agents);
    },
    async stop() {
      await end(running.child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function spawnRuntime(folder, listen, agents) {
  const flags = ["serve", "--listen", listen, "--agents", agents, "--store", process.env.COAGENT_STORE ?? `sqlite:${path.join(folder, "coagent.db")}`];
  const child = spawn(binary, flags, { stdio: ["ignore", "ignore", "pipe"], cwd: folder });
  return new Promise((resolve, reject) => {
    let said = "";
    const late = setTimeout(() => fail(new Error(`the runtime did not listen within 15 s; it said:\n${said}`)), 15_000);
    const fail = (error) => {
      clearTimeout(late);
      child.kill("SIGKILL");
      reject(error);
    };
    child.once("error", fail);
    const ended = (code) => fail(new Error(`the runtime ended with ${code}; it said:\n${said}`));
    child.once("exit", ended);
    child.stderr.on("data", (chunk) => {
      said += chunk;
      const origin = /listening on (http:\/\/\S+)\n/.exec(said)?.[1];
      if (!origin) return;
      clearTimeout(late);
      child.off("exit", ended);
      resolve({ child, origin });
    });
  });
}

async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), 5_000);
  await gone;
  clearTimeout(late);
}
