/** What the grid needs of a list: the grid's own interface, so that it knows neither sockets nor stores. */
import type { Column, Value, Values } from "../api/types";

export interface GridTouch {
  seq: number;
  /** Milliseconds since the epoch. */
  at: number;
  keys: ReadonlySet<string>;
}

export interface GridRow {
  readonly id: string;
  readonly values: Values;
  readonly pending: ReadonlySet<string>;
  readonly isNew: boolean;
  readonly touch: GridTouch | null;
  readonly createdAt: string;
  readonly createdBy: string | null;
  readonly updatedAt: string;
  readonly updatedBy: string | null;
}

export interface GridSource {
  readonly ids: readonly string[];
  readonly complete: boolean;
  row(id: string): GridRow | undefined;
  indexOf(id: string): number;
}

/** The value that a cell shows: the item's own record fills columns that mirror it. */
export function cellValue(row: GridRow, column: Column): Value | undefined {
  const value = row.values[column.key];
  if (value !== undefined) return value;
  switch (column.type) {
    case "created_at":
      return row.createdAt || undefined;
    case "created_by":
      return row.createdBy ?? undefined;
    case "updated_at":
      return row.updatedAt || undefined;
    case "updated_by":
      return row.updatedBy ?? undefined;
    default:
      return undefined;
  }
}
