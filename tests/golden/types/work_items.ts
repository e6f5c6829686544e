// Written from the schema of `work_items` documents: change the schema, not this file.

export type WorkItems = WorkItemsItem[];

export interface WorkItemsItem {
  n?: number;
}
