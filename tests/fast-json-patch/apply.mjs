// Applies each case of a JSON Lines file as AG-UI's client does: strictly, on a copy, and compares.
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import jsonpatch from "fast-json-patch";

const lines = readFileSync(process.argv[2], "utf8").split("\n").filter(Boolean);
let failed = 0;
for (const line of lines) {
  const { seed, what, from, ops, to } = JSON.parse(line);
  const told = (why) => {
    failed += 1;
    if (failed <= 5) console.error(`seed ${seed}, ${what}: ${why}\nfrom ${JSON.stringify(from)}\nby ${JSON.stringify(ops)}\nto ${JSON.stringify(to)}`);
  };
  try {
    const after = jsonpatch.applyPatch(from, ops, true, false).newDocument;
    // JSON.parse reads -0 as a number of its own, which JSON means as 0.
    const plain = (value) => JSON.parse(JSON.stringify(value));
    if (!isDeepStrictEqual(plain(after), plain(to))) told(`gives ${JSON.stringify(after)}`);
  } catch (error) {
    told(error.message.split("\n")[0]);
  }
}
if (failed) {
  console.error(`${failed} of ${lines.length} deltas do not apply`);
  process.exit(1);
}
console.log(`${lines.length} deltas applied`);
