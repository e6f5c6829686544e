/** Starts the page, and the server if none is running. The page's package and the server are built when they are not there yet. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";

const here = import.meta.dirname;
const root = path.resolve(here, "../..");
const url = process.env.COAGENT_URL ?? "http://127.0.0.1:7070";

const client = path.join(root, "clients/react");
if (!existsSync(path.join(client, "dist"))) {
  run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], client);
  run("npm", ["run", "--silent", "build"], client);
}

const server = (await isServing()) ? null : start(binary(), ["serve", "--listen", new URL(url).host, "--agents", path.join(root, "agents")]);
while (!(await isServing())) await new Promise((resolve) => setTimeout(resolve, 100));
const page = start(process.execPath, [path.join(here, "node_modules/vite/bin/vite.js"), "frontend", ...process.argv.slice(2)], { VITE_COAGENT_URL: url });

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
  run("cargo", ["build", "--release"], root);
  return built("release");
}

async function isServing() {
  try {
    return (await fetch(`${url}/healthz`)).ok;
  } catch {
    return false;
  }
}

function start(command, args, env = {}) {
  return spawn(command, args, { cwd: here, stdio: "inherit", env: { ...process.env, ...env } });
}

function run(command, args, cwd) {
  const { status } = spawnSync(command, args, { cwd, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}
