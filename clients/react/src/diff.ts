/** The difference between two values as a patch that merges well: as deep as possible, lists by their common ends. */
import { isArray, isObject, type Json, same } from "./json.js";
import { type Edit, escape } from "./patch.js";

export function diff(before: Json | undefined, after: Json | undefined, path = ""): Edit[] {
  if (before === after) return [];
  if (after === undefined) return [{ op: "remove", path }];
  if (isObject(before) && isObject(after)) return members(before, after, path);
  if (isArray(before) && isArray(after)) return elements(before, after, path);
  // `add` sets a member whether it is there or not, so it cannot fail on what others did.
  return same(before, after) ? [] : [{ op: "add", path, value: after }];
}

function members(before: { readonly [name: string]: Json }, after: { readonly [name: string]: Json }, path: string): Edit[] {
  const gone = Object.keys(before).filter((name) => !Object.hasOwn(after, name));
  return [
    ...gone.map((name): Edit => ({ op: "remove", path: `${path}/${escape(name)}` })),
    ...Object.keys(after).flatMap((name) => {
      const had = Object.hasOwn(before, name) ? before[name] : undefined;
      return diff(had, after[name], `${path}/${escape(name)}`);
    }),
  ];
}

function elements(before: readonly Json[], after: readonly Json[], path: string): Edit[] {
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && same(before[head], after[head])) head += 1;
  let tail = 0;
  while (tail < shorter - head && same(before[before.length - 1 - tail], after[after.length - 1 - tail])) tail += 1;
  const old = before.slice(head, before.length - tail);
  const fresh = after.slice(head, after.length - tail);
  const paired = Math.min(old.length, fresh.length);
  const edits: Edit[] = [];
  for (let index = 0; index < paired; index += 1) {
    const here = `${path}/${head + index}`;
    const nested = diff(old[index], fresh[index], here);
    edits.push(...nested.map((edit): Edit => (edit.path === here && edit.op === "add" ? { ...edit, op: "replace" } : edit)));
  }
  for (let index = old.length - 1; index >= paired; index -= 1) edits.push({ op: "remove", path: `${path}/${head + index}` });
  for (let index = paired; index < fresh.length; index += 1) {
    edits.push({ op: "add", path: `${path}/${head + index}`, value: fresh[index] as Json });
  }
  return edits;
}
