/** `node ../start.mjs [folder]` in an example: serves its page with Vite, and starts the server if none runs; both are built when missing. */
import "./package.mjs";
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "..");
const example = process.cwd();
const url = process.env.COAGENT_URL ?? "http://127.0.0.1:7070";

const server = (await isServing()) ? null : start(root, binary(), ["serve", "--listen", new URL(url).host]);
while (!(await isServing())) await new Promise((resolve) => setTimeout(resolve, 100));
const vite = path.join(example, "node_modules/vite/bin/vite.js");
const page = start(example, process.execPath, [vite, ...process.argv.slice(2)], { VITE_COAGENT_URL: url, VITE_RUNTIME_URL: `${url}/api/copilotkit` });

for (const child of [server, page]) child?.on("exit", (code) => stop(code ?? 0));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => stop(0));

function stop(code) {
  for (const child of [server, page]) child?.kill();
  process.exit(code);
}

/** The server: `COAGENT_BIN`, else what cargo built, else it is built now. */
function binary() {
  const built = (profile) => path.join(process.env.CARGO_TARGET_DIR ?? path.join(root, "target"), profile, "coagent");
  const found = [process.env.COAGENT_BIN, built("release"), built("debug")].find((candidate) => candidate && existsSync(candidate));
  if (found) return found;
  const { status } = spawnSync("cargo", ["build", "--release"], { cwd: root, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
  return built("release");
}

async function isServing() {
  try {
    return (await fetch(`${url}/healthz`)).ok;
  } catch {
    return false;
  }
}

function start(cwd, command, args, env = {}) {
  return spawn(command, args, { cwd, stdio: "inherit", env: { ...process.env, ...env } });
}
