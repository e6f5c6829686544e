// Written from the schema of `board` documents: change the schema, not this file.

/** Cards in columns, with *​/ and "quotes" in its text. */
export interface Board {
  columns: Column[];
  name: string;
  "1st"?: unknown;
  _private?: string | number | null;
  class?: "board";
  fraction?: 0.5 | 1.5;
  /** Of the webhook. Written only: it is never sent. */
  key?: string;
  nested?: BoardNested;
  never?: never;
  owner?: Person | null;
  ratio?: number;
  schema?: string;
  shape?: BoardShapeOption1 | number[];
  sizes?: Record<string, number>;
  special?: BoardSpecial;
  tags?: ("red" | "green" | null | 3 | true)[];
  votes?: number;
  "with-dash"?: boolean;
}

export interface Column {
  id: string;
  cards?: Card[];
}

/** A card may hold cards. */
export interface Card {
  id: string;
  below?: Card[];
  [name: string]: unknown;
}

export interface BoardNested {
  deep: BoardNestedDeep;
}

export interface BoardNestedDeep {
  er?: boolean;
}

export interface Person {
  name: string;
}

export interface BoardShapeOption1 {
  radius?: number;
}

export interface BoardSpecial {
  name: string;
  since: string;
}
