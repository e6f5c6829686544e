/** JSON values: equality, and sharing of what is equal. */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

export function isObject(value: unknown): value is { readonly [name: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isArray(value: unknown): value is readonly Json[] {
  return Array.isArray(value);
}

export function same(one: Json | undefined, other: Json | undefined): boolean {
  if (one === other) return true;
  if (isArray(one) && isArray(other)) return one.length === other.length && one.every((value, at) => same(value, other[at]));
  if (!isObject(one) || !isObject(other)) return false;
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => Object.hasOwn(other, name) && same(one[name], other[name]));
}

/** `next`, with every part that is equal to its counterpart in `before` being that very object. */
export function sharing(before: Json | undefined, next: Json | undefined): Json | undefined {
  if (before === next || next === undefined) return next;
  if (isArray(before) && isArray(next)) {
    const shared = next.map((value, at) => sharing(before[at], value) as Json);
    return shared.length === before.length && shared.every((value, at) => value === before[at]) ? before : shared;
  }
  if (isObject(before) && isObject(next)) {
    const names = Object.keys(next);
    const shared: { [name: string]: Json } = {};
    for (const name of names) shared[name] = sharing(before[name], next[name] as Json) as Json;
    const isSame = names.length === Object.keys(before).length && names.every((name) => shared[name] === before[name]);
    return isSame ? before : shared;
  }
  return next;
}
