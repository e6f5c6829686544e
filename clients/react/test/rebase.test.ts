/** The pure parts: patches, differences, edits carried over others. */
import { describe, expect, test } from "vitest";
import { diff } from "../src/diff.js";
import { type Json, sharing } from "../src/json.js";
import { apply, applyWhatFits, type Edit } from "../src/patch.js";
import { rebase } from "../src/rebase.js";

function check(state: Json, mine: Edit[], theirs: Edit[], both: Json) {
  const { mine: over, theirs: under } = rebase(mine, theirs, state);
  expect(applyWhatFits(applyWhatFits(state, theirs), over)).toEqual(both);
  return applyWhatFits(applyWhatFits(state, mine), under);
}

describe("edits carried over those of others", () => {
  test("an element that moved is still the one that was meant", () => {
    const state = { l: [{ n: 1 }, { n: 2 }] };
    const set: Edit = { op: "add", path: "/l/1/n", value: 9 };
    check(state, [set], [{ op: "add", path: "/l/0", value: { n: 0 } }], { l: [{ n: 0 }, { n: 1 }, { n: 9 }] });
    check(state, [set], [{ op: "remove", path: "/l/0" }], { l: [{ n: 9 }] });
    check(state, [set], [{ op: "remove", path: "/l/1" }], { l: [{ n: 1 }] });
  });

  test("two that insert at one place both keep theirs, and both sides agree on the order", () => {
    const state = { l: ["a"] };
    const mine: Edit[] = [{ op: "add", path: "/l/1", value: "m" }];
    const other = check(state, mine, [{ op: "add", path: "/l/1", value: "t" }], { l: ["a", "t", "m"] });
    expect(other).toEqual({ l: ["a", "t", "m"] });
  });

  test("digits that name members do not shift", () => {
    check({ o: { "0": 1, "1": 2 } }, [{ op: "add", path: "/o/1", value: 3 }], [{ op: "remove", path: "/o/0" }], { o: { "1": 3 } });
  });

  test("several edits, each made on the one before", () => {
    const mine: Edit[] = [
      { op: "add", path: "/l/0", value: "x" },
      { op: "replace", path: "/l/0", value: "y" },
      { op: "remove", path: "/l/1" },
    ];
    check({ l: ["a", "b"] }, mine, [{ op: "add", path: "/l/0", value: "t" }], { l: ["t", "y", "b"] });
  });

  test("random edits of two sides lead both to one value, but for places both wrote", () => {
    for (let seed = 1; seed <= 400; seed += 1) {
      const random = dice(seed);
      const state = { l: ["a", "b", "c"], m: { x: [1, 2] } };
      const [mine, theirs] = [edits(state, random, "m"), edits(state, random, "t")];
      const carried = rebase(mine, theirs, state);
      const here = applyWhatFits(applyWhatFits(state, theirs), carried.mine);
      const there = applyWhatFits(applyWhatFits(state, mine), carried.theirs);
      expect(sorted(here), `seed ${seed}: ${JSON.stringify({ mine, theirs })}`).toEqual(sorted(there));
    }
  });
});

test("a difference leads from one value to the other, and touches no more than it has to", () => {
  const before = { title: "a", list: [{ id: 1, t: "x" }, { id: 2, t: "y" }], gone: true };
  const after = { title: "a", list: [{ id: 0, t: "w" }, { id: 1, t: "x" }, { id: 2, t: "z" }], n: null };
  const ops = diff(before, after);
  expect(apply(before, ops)).toEqual(after);
  expect(diff(before.list, [before.list[1] as Json])).toEqual([{ op: "remove", path: "/0" }]);
  expect(diff({ a: { b: { c: 1 } }, d: 1 }, { a: { b: { c: 2 } }, d: 1 })).toEqual([{ op: "add", path: "/a/b/c", value: 2 }]);
  expect(diff({ "a/b~c": 1 }, {})).toEqual([{ op: "remove", path: "/a~1b~0c" }]);
  for (let seed = 1; seed <= 300; seed += 1) {
    const random = dice(seed);
    const start = { l: ["a", "b", "c"], m: { x: [1, 2] } };
    const end = applyWhatFits(start, edits(start, random, "m")) as Json;
    expect(apply(start, diff(start, end)), `seed ${seed}`).toEqual(end);
  }
});

test("what is equal keeps its identity", () => {
  const before: Json = { a: { deep: [1, { x: 2 }] }, b: [1] };
  const next = sharing(before, JSON.parse(JSON.stringify({ ...before, b: [1, 2] })) as Json) as typeof before;
  expect(next["a"]).toBe(before["a"]);
  expect(sharing(before, JSON.parse(JSON.stringify(before)) as Json)).toBe(before);
  const patched = apply(before, [{ op: "add", path: "/b/0", value: 0 }]) as typeof before;
  expect(patched["a"]).toBe(before["a"]);
});

function dice(seed: number): (sides: number) => number {
  let state = seed * 2654435761;
  return (sides) => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 374761393) | 0;
    return Math.abs(state ^ (state >>> 13)) % sides;
  };
}

function edits(state: Json, random: (sides: number) => number, mark: string): Edit[] {
  let here: Json | undefined = state;
  return Array.from({ length: 1 + random(4) }, (_, at): Edit => {
    const { l, m } = here as { l: Json[]; m: { x: Json[] } };
    const [list, path] = random(2) === 0 ? [l, "/l"] : [m.x, "/m/x"];
    const insert: Edit = { op: "add", path: `${path}/${random(list.length + 1)}`, value: `${mark}${at}` };
    const edit: Edit = list.length > 0 && random(3) === 0 ? { op: "remove", path: `${path}/${random(list.length)}` } : insert;
    here = applyWhatFits(here, [edit]);
    return edit;
  });
}

/** Elements between the same neighbours may stand in either order where a removal made them neighbours. */
function sorted(value: Json | undefined): Json {
  const { l, m } = value as { l: Json[]; m: { x: Json[] } };
  return [[...l].map(String).sort(), [...m.x].map(String).sort()];
}
