/** Empty projects into which the package is installed as it is published. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "../..");

export type Project = {
  readonly folder: string;
  write(file: string, text: string): void;
  /** What a program of the project prints. */
  node(...args: string[]): string;
};

export function pack(): { readonly file: string; readonly folder: string } {
  const folder = mkdtempSync(path.join(tmpdir(), "coagent-pack-"));
  const [{ filename }] = JSON.parse(npm(root, "pack", "--json", "--pack-destination", folder)) as [{ filename: string }];
  return { file: path.join(folder, filename), folder };
}

/** `modules` as npm takes them; those without a version get the one that this package is tested with. */
export function emptyProject(packed: string, modules: readonly string[]): Project {
  const folder = mkdtempSync(path.join(tmpdir(), "coagent-empty-"));
  const write = (file: string, text: string) => {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), text);
  };
  write("package.json", JSON.stringify({ name: "empty", private: true, type: "module" }));
  const wanted = modules.map((name) => (name.lastIndexOf("@") > 0 ? name : `${name}@${installed(name)}`));
  npm(folder, "install", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error", packed, ...wanted);
  return { folder, write, node: (...args) => execFileSync(process.execPath, args, { cwd: folder, encoding: "utf8", timeout: 30_000 }) };
}

function npm(cwd: string, ...args: string[]): string {
  return execFileSync("npm", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

function installed(name: string): string {
  return (JSON.parse(readFileSync(path.join(root, "node_modules", name, "package.json"), "utf8")) as { version: string }).version;
}
