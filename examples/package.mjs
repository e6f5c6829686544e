/** Builds the npm package in clients/react, which the pages link, where it is not built or older than its source. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import path from "node:path";

const client = path.resolve(import.meta.dirname, "../clients/react");
const built = path.join(client, "dist/index.js");

if (!existsSync(built) || statSync(built).mtimeMs < newest(path.join(client, "src"))) {
  if (!existsSync(path.join(client, "node_modules/typescript"))) npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error");
  npm("run", "--silent", "build");
}

function newest(folder) {
  const files = readdirSync(folder, { recursive: true }).map((name) => statSync(path.join(folder, name)).mtimeMs);
  return Math.max(...files);
}

function npm(...args) {
  const { status } = spawnSync("npm", args, { cwd: client, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}
