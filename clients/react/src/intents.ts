/** Intents (docs/state-api.md §2): edits that say what is meant. Here only their view until the server has decided. */
import { isArray, isObject, type Json, same } from "./json.js";
import { at, type Edit, pointer, tokens } from "./patch.js";

export type Intent =
  | { readonly op: "inc"; readonly path: string; readonly by: number }
  | { readonly op: "append" | "set"; readonly path: string; readonly value: Json }
  | { readonly op: "insert"; readonly path: string; readonly value: Json; readonly after?: Json; readonly before?: Json }
  | { readonly op: "move"; readonly path: string; readonly key: Json; readonly after?: Json; readonly before?: Json }
  | { readonly op: "remove_key"; readonly path: string; readonly key: Json }
  | { readonly op: "text"; readonly path: string; readonly pos: number; readonly delete: number; readonly insert: string }
  | { readonly op: "unset"; readonly path: string };

/** The operations that an intent comes to on `value`; the objects that are missing above its place come first. */
export function compile(value: Json | undefined, intent: Intent): Edit[] {
  const effect = effectOn(at(value, intent.path), intent);
  return effect.length === 0 ? [] : [...missingAbove(value, intent.path), ...effect];
}

function effectOn(here: Json | undefined, intent: Intent): Edit[] {
  const { path } = intent;
  const list = isArray(here) ? here : [];
  const start: Edit[] = here === undefined ? [{ op: "add", path, value: [] }] : [];
  const put = (index: number, value: Json): Edit => ({ op: "add", path: `${path}/${index}`, value });
  switch (intent.op) {
    case "inc":
      return [{ op: "add", path, value: (typeof here === "number" ? here : 0) + intent.by }];
    case "set":
      return [{ op: "add", path, value: intent.value }];
    case "unset":
      return here === undefined ? [] : [{ op: "remove", path }];
    case "append":
      return [...start, put(list.length, intent.value)];
    case "insert":
      return [...start, put(placeIn(list, intent), intent.value)];
    case "remove_key": {
      const index = indexOf(list, intent.key);
      return index < 0 ? [] : [{ op: "remove", path: `${path}/${index}` }];
    }
    case "move": {
      const index = indexOf(list, intent.key);
      const moved = list[index];
      if (moved === undefined) return [];
      return [{ op: "remove", path: `${path}/${index}` }, put(placeIn(list.toSpliced(index, 1), intent), moved)];
    }
    case "text": {
      const characters = typeof here === "string" ? [...here] : [];
      characters.splice(intent.pos, intent.delete, intent.insert);
      return [{ op: "add", path, value: characters.join("") }];
    }
  }
}

function placeIn(list: readonly Json[], { after, before }: { readonly after?: Json; readonly before?: Json }): number {
  const index = after !== undefined ? indexOf(list, after) + 1 : before !== undefined ? indexOf(list, before) : list.length;
  return index < 0 ? list.length : index;
}

/** Elements are known by `id`; where a schema names another member, the view is right once the server has answered. */
function indexOf(list: readonly Json[], key: Json): number {
  return list.findIndex((element) => isObject(element) && same(element["id"], key));
}

function missingAbove(value: Json | undefined, path: string): Edit[] {
  const steps = tokens(path);
  const missing: Edit[] = value === undefined ? [{ op: "add", path: "", value: {} }] : [];
  for (let depth = 1; depth < steps.length; depth += 1) {
    const above = steps.slice(0, depth);
    if (at(value, above) === undefined) missing.push({ op: "add", path: pointer(above), value: {} });
  }
  return missing;
}
