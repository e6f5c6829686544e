/** The package, packed once for all test files: Vitest runs this before them. */
import { rmSync } from "node:fs";
import { inject } from "vitest";
import type { TestProject } from "vitest/node";
import { pack } from "./project.js";

declare module "vitest" {
  export interface ProvidedContext {
    packed: string;
  }
}

export default function setup(project: TestProject): () => void {
  const { file, folder } = pack();
  project.provide("packed", file);
  return () => rmSync(folder, { recursive: true, force: true });
}

/** The file that is published. */
export const packed = (): string => inject("packed");
