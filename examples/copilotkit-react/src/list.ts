/** Finds the list in an agent's state that a person can tick off and edit, whatever the agent calls its parts. */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type State = { [key: string]: Json };
export type Entry = { title: string; done: boolean };
export type List = { key: string; entries: Entry[] };

type Item = { [key: string]: Json };
const LISTS = ["steps", "tasks", "todos", "items"];
const TITLES = ["title", "description", "name", "text"];

/** The first list of objects with something like a title; an empty `steps` when the state has none. */
export function listIn(state: State): List {
  const key = LISTS.find((name) => isList(state[name])) ?? "steps";
  return { key, entries: items(state, key).map((item) => ({ title: titleOf(item), done: isDone(item) })) };
}

export function withEntry(state: State, key: string, index: number, change: Partial<Entry>): State {
  const changed = items(state, key).map((item, at) => (at === index ? edit(item, change) : item));
  return { ...state, [key]: changed };
}

/** A new entry copies the shape of its neighbours, so that the agent recognises it. */
export function withNewEntry(state: State, key: string, title: string): State {
  const known = items(state, key);
  const last = known[known.length - 1];
  const fresh: Item = last && "status" in last ? { [titleKey(last)]: title, status: "pending" } : { [last ? titleKey(last) : "title"]: title, done: false };
  return { ...state, [key]: [...known, fresh] };
}

export function withoutEntry(state: State, key: string, index: number): State {
  return { ...state, [key]: items(state, key).filter((_, at) => at !== index) };
}

function isList(value: Json | undefined): boolean {
  return Array.isArray(value) && value.every((item) => isItem(item) && TITLES.some((name) => typeof item[name] === "string"));
}

function items(state: State, key: string): Item[] {
  const value = state[key];
  return Array.isArray(value) ? value.filter(isItem) : [];
}

function isItem(value: Json): value is Item {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function titleKey(item: Item): string {
  return TITLES.find((name) => typeof item[name] === "string") ?? "title";
}

function titleOf(item: Item): string {
  const title = item[titleKey(item)];
  return typeof title === "string" ? title : "";
}

function isDone(item: Item): boolean {
  return item["done"] === true || item["status"] === "completed" || item["status"] === "done";
}

function edit(item: Item, change: Partial<Entry>): Item {
  const edited = { ...item };
  if (change.title !== undefined) edited[titleKey(item)] = change.title;
  if (change.done !== undefined && "status" in item) edited["status"] = change.done ? "completed" : "pending";
  else if (change.done !== undefined) edited["done"] = change.done;
  return edited;
}
