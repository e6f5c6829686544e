/** What somebody wants of a document, and what it comes to on the value as it is seen here. */
import { diff } from "./diff.js";
import { compile, type Intent } from "./intents.js";
import { isObject, type Json } from "./json.js";
import { applyWhatFits, type Edit, type Operation, spelledOut } from "./patch.js";
import { placeAfter, rebase } from "./rebase.js";

export type Proposal =
  | { readonly patch: readonly Operation[] }
  | { readonly merge: Json }
  | { readonly intents: readonly Intent[] }
  | { readonly replace: Json };

export function effects(proposal: Proposal, value: Json | undefined): Edit[] {
  if ("patch" in proposal) return spelledOut(value, proposal.patch);
  if ("merge" in proposal) return diff(value, merged(value, proposal.merge));
  if ("replace" in proposal) return diff(value, proposal.replace);
  let here = value;
  return proposal.intents.flatMap((intent) => {
    const edits = compile(here, intent);
    here = applyWhatFits(here, edits);
    return edits;
  });
}

/** The proposal made on `value`, after somebody else's `edits` of it; `null` when nothing is left. */
export function carried(proposal: Proposal, edits: readonly Edit[], value: Json | undefined): Proposal | null {
  if ("merge" in proposal) return proposal;
  if ("intents" in proposal) {
    const intents = proposal.intents.flatMap((intent): Intent[] => {
      const path = placeAfter(intent.path, edits, value);
      return path === null ? [] : [{ ...intent, path }];
    });
    return intents.length === 0 ? null : { intents };
  }
  const { mine } = rebase(effects(proposal, value), edits, value);
  return mine.length === 0 ? null : { patch: mine };
}

/** RFC 7396. */
function merged(value: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const result: { [name: string]: Json } = isObject(value) ? { ...value } : {};
  for (const [name, part] of Object.entries(patch)) {
    if (part === null) delete result[name];
    else result[name] = merged(result[name], part);
  }
  return result;
}
