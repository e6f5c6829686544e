/** JSON Patch (RFC 6902) on immutable values: what an operation does not touch keeps its identity. */
import { immutableJSONPatch, type JSONPatchDocument } from "immutable-json-patch";
import { isArray, isObject, type Json } from "./json.js";

/** An operation that says by itself what it changes. */
export type Edit =
  | { readonly op: "add" | "replace" | "test"; readonly path: string; readonly value: Json }
  | { readonly op: "remove"; readonly path: string };

export type Operation = Edit | { readonly op: "move" | "copy"; readonly from: string; readonly path: string };

/** Throws where the value does not have what an operation needs. */
export function apply(value: Json | undefined, operations: readonly Operation[]): Json | undefined {
  return operations.reduce((current, operation) => applyOne(current, operation), value);
}

function applyOne(value: Json | undefined, operation: Operation): Json | undefined {
  if (operation.path === "" && operation.op !== "test") {
    if (operation.op === "remove") return undefined;
    if (operation.op === "add" || operation.op === "replace") return operation.value;
  }
  if (value === undefined) throw new Error(`there is nothing at ${operation.path || "the root"}`);
  return immutableJSONPatch(value, [operation] as JSONPatchDocument) as Json;
}

/** Leaves out what does not apply, as a view of edits that are not decided yet. */
export function applyWhatFits(value: Json | undefined, operations: readonly Operation[]): Json | undefined {
  return operations.reduce((current, operation) => {
    if (operation.op === "test") return current;
    try {
      return applyOne(current, operation);
    } catch {
      return current;
    }
  }, value);
}

/** The same change without `move` and `copy`. */
export function spelledOut(value: Json | undefined, operations: readonly Operation[]): Edit[] {
  let current = value;
  return operations.flatMap((operation): Edit[] => {
    const before = current;
    if (operation.op !== "test") current = applyWhatFits(current, [operation]);
    if (!("from" in operation)) return [operation];
    const moved = at(before, operation.from);
    if (moved === undefined) return [];
    const put: Edit = { op: "add", path: operation.path, value: moved };
    return operation.op === "copy" ? [put] : [{ op: "remove", path: operation.from }, put];
  });
}

export function tokens(pointer: string): string[] {
  return pointer.split("/").slice(1).map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

export function pointer(steps: readonly string[]): string {
  return steps.map((step) => `/${escape(step)}`).join("");
}

export function escape(token: string): string {
  return token.replaceAll("~", "~0").replaceAll("/", "~1");
}

/** What is at a place, or `undefined`. */
export function at(value: Json | undefined, path: string | readonly string[]): Json | undefined {
  let here = value;
  for (const step of typeof path === "string" ? tokens(path) : path) {
    if (isArray(here)) here = here[Number(step)];
    else if (isObject(here) && Object.hasOwn(here, step)) here = here[step];
    else return undefined;
  }
  return here;
}
