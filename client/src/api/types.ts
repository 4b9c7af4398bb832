/**
 * Every shape of the REST API that this client uses. What the websocket speaks as well comes from its package.
 */
import type { FieldError, Item, Page, Refusal, Role, Value, Values } from "@estatebase/realtime";

export type { FieldError, Item, Page, Refusal, Role, Value, Values };

// ── People and workspaces ───────────────────────────────────────────────────────────────────────

export interface Me {
  user: { id: string; email: string; display_name: string | null };
  memberships: Membership[];
}

export interface Membership {
  workspace_id: string;
  name: string;
  role: Role;
}

export interface Workspace {
  id: string;
  name: string;
  role: Role;
  seq: number;
}

export interface Member {
  user_id: string;
  email?: string | null;
  display_name?: string | null;
  role: Role;
}

// ── Lists and columns ───────────────────────────────────────────────────────────────────────────

export type ColumnType =
  | "text"
  | "long_text"
  | "number"
  | "currency"
  | "percent"
  | "rating"
  | "checkbox"
  | "date"
  | "date_time"
  | "single_select"
  | "multi_select"
  | "email"
  | "phone"
  | "url"
  | "address"
  | "location"
  | "user"
  | "file"
  | "link"
  | "lookup"
  | "rollup"
  | "count"
  | "formula"
  | "auto_number"
  | "created_at"
  | "created_by"
  | "updated_at"
  | "updated_by";

export interface Choice {
  name: string;
  color?: string | null;
}

/** The options of every column type in one bag; which of them apply is the type's business. */
export interface ColumnOptions {
  choices?: Choice[];
  currency?: string;
  precision?: number;
  min?: number;
  max?: number;
  max_length?: number;
  multiple?: boolean;
  region?: string;
  time_zone?: string;
  /** Of a computed column: what its cells are, as the server found. */
  result?: ColumnType | "list";
}

export interface Column {
  id?: string;
  key: string;
  name: string;
  type: ColumnType;
  options?: ColumnOptions | null;
  required: boolean;
  default?: unknown;
  position: number;
}

export interface List {
  id: string;
  name: string;
  position: number;
  columns: Column[];
}

// ── Undo ────────────────────────────────────────────────────────────────────────────────────────

export type HistoryStep = "undo" | "redo";

export interface Undone {
  seq: number;
  undoes?: number;
  count: number;
}

// ── Values of some columns ──────────────────────────────────────────────────────────────────────

export interface Address {
  line1?: string;
  line2?: string;
  city?: string;
  region?: string;
  postal_code?: string;
  country?: string;
}

export interface Location {
  lat: number;
  lon: number;
}
