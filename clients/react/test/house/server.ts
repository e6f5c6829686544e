/** The real binary on a free port with a store of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "../../../..");
const candidates = [process.env["COAGENT_BIN"], `${root}/target/release/coagent`, `${root}/target/debug/coagent`];
const binary = candidates.find((candidate) => candidate !== undefined && existsSync(candidate));

export type Server = {
  readonly origin: string;
  kill(): Promise<void>;
  restart(): Promise<void>;
  /** Stops it for a copy of its store. */
  stash(): Promise<void>;
  /** Starts it with the copy instead of its store. */
  unstash(): Promise<void>;
  stop(): Promise<void>;
};

/** `agents` are definitions by the name of their file. */
export async function startServer({ store, agents = {} }: { store?: string; agents?: { readonly [file: string]: string } } = {}): Promise<Server> {
  if (!binary) throw new Error("the server is not built: run `cargo build`, or name it in COAGENT_BIN");
  const folder = mkdtempSync(path.join(tmpdir(), "coagent-client-"));
  mkdirSync(path.join(folder, "agents"));
  for (const [file, text] of Object.entries(agents)) writeFileSync(path.join(folder, "agents", file), text);
  const start = (listen: string) => launch(binary, folder, ["--listen", listen, "--store", store ?? `sqlite:${folder}/coagent.db`]);
  let running = await start("127.0.0.1:0");
  const { origin } = running;
  const files = (from: string) => readdirSync(from).filter((file) => file.startsWith("coagent.db"));
  const copy = (from: string, to: string) => {
    mkdirSync(to, { recursive: true });
    for (const file of files(to)) rmSync(path.join(to, file));
    for (const file of files(from)) copyFileSync(path.join(from, file), path.join(to, file));
  };
  return {
    origin,
    async stash() {
      await end(running.child, "SIGTERM");
      copy(folder, `${folder}/stash`);
      running = await start(new URL(origin).host);
    },
    async unstash() {
      await end(running.child, "SIGKILL");
      copy(`${folder}/stash`, folder);
      running = await start(new URL(origin).host);
    },
    kill: () => end(running.child, "SIGKILL"),
    async restart() {
      await end(running.child, "SIGKILL");
      running = await start(new URL(origin).host);
    },
    async stop() {
      await end(running.child, "SIGTERM");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function launch(command: string, cwd: string, flags: string[]): Promise<{ child: ChildProcess; origin: string }> {
  const child = spawn(command, ["serve", "--agents", "agents", ...flags], { cwd, stdio: ["ignore", "ignore", "pipe"] });
  return new Promise((resolve, reject) => {
    let said = "";
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}:\n${said}`)));
    child.stderr?.on("data", (chunk) => {
      said += chunk;
      const origin = /listening on (http:\/\/\S+)\n/.exec(said)?.[1];
      if (origin) resolve({ child, origin });
    });
  });
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill(signal);
  await gone;
}
