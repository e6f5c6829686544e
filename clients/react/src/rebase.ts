/** Edits made on one value, carried over edits that somebody else made on the same value. */
import { isArray, type Json } from "./json.js";
import { applyWhatFits, at, type Edit, pointer, tokens } from "./patch.js";

export type Rebased = {
  /** To be applied after theirs. */
  mine: Edit[];
  /** To be applied after mine as they were. */
  theirs: Edit[];
};

/** Both lists are made on `state`, each operation on what those before it in its list left. */
export function rebase(mine: readonly Edit[], theirs: readonly Edit[], state: Json | undefined): Rebased {
  const carried: Edit[] = [];
  let here = state;
  let rest = theirs;
  for (const edit of mine) {
    let own: Edit | null = edit;
    let there = here;
    const after: Edit[] = [];
    for (const their of rest) {
      const moved: Edit | null = own && over(own, their, there, "after");
      const kept: Edit | null = own ? over(their, own, there, "before") : their;
      if (kept) after.push(kept);
      there = applyWhatFits(there, [their]);
      own = moved;
    }
    if (own) carried.push(own);
    here = applyWhatFits(here, [edit]);
    rest = after;
  }
  return { mine: carried, theirs: [...rest] };
}

/** Where a place is after `edits`; `null` when it is gone. */
export function placeAfter(place: string, edits: readonly Edit[], state: Json | undefined): string | null {
  let here = state;
  let where: string | null = place;
  for (const edit of edits) {
    const next: Edit | null = over({ op: "test", path: where, value: null }, edit, here, "after");
    if (!next) return null;
    where = next.path;
    here = applyWhatFits(here, [edit]);
  }
  return where;
}

/** `edit` after `other`, both made on `state`. Of two that insert at one place, `before` says this one's element comes first. */
function over(edit: Edit, other: Edit, state: Json | undefined, turn: "before" | "after"): Edit | null {
  if (other.op === "test") return edit;
  const steps = tokens(edit.path);
  const shift = tokens(other.path);
  const last = shift.pop();
  if (last === undefined || other.op === "replace" || !isArray(at(state, shift))) return beside(edit, other);
  const depth = shift.length;
  if (steps.length <= depth || shift.some((step, index) => steps[index] !== step)) return edit;
  const token = steps[depth] as string;
  if (token === "-") return edit;
  const index = Number(token);
  const isInsertion = edit.op === "add" && steps.length === depth + 1;
  if (other.op === "add") {
    const moves = last !== "-" && (Number(last) < index || (Number(last) === index && (!isInsertion || turn === "after")));
    return moves ? placed(edit, steps, depth, index + 1) : edit;
  }
  if (Number(last) === index && !isInsertion) return null;
  return Number(last) < index ? placed(edit, steps, depth, index - 1) : edit;
}

function placed(edit: Edit, steps: readonly string[], depth: number, index: number): Edit {
  return { ...edit, path: pointer(steps.with(depth, String(index))) };
}

/** Over an edit that moves no element. */
function beside(edit: Edit, other: Edit): Edit | null {
  if (other.op !== "remove" || other.path !== edit.path) return edit;
  if (edit.op === "remove") return null;
  return edit.op === "replace" ? { ...edit, op: "add" } : edit;
}
