/** The shapes of the REST API that this package reads: items, and a page of them. */
import type { Problem, Values } from "./frames";

export interface Item {
  id: string;
  list_id: string;
  version: number;
  seq: number;
  values: Values;
  created_at: string;
  created_by: string | null;
  updated_at: string;
  updated_by: string | null;
}

export interface Page<T> {
  data: T[];
  next_cursor: string | null;
}

/** A refusal, the server's or one of our own (nobody answered). */
export type Refusal = Pick<Problem, "code"> & Partial<Problem>;
