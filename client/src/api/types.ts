/**
 * Every shape that crosses the wire, REST and websocket, as the two contracts say.
 * The single place for them: when the generated `schema.d.ts` arrives, this file re-exports from it.
 */

// ── People and workspaces ───────────────────────────────────────────────────────────────────────

export type Role = "viewer" | "commenter" | "editor" | "admin" | "owner";

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

// ── Items and their values ──────────────────────────────────────────────────────────────────────

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

/** A cell as it travels. `null` occurs only in writes and in events, where it clears the cell. */
export type Value = null | boolean | number | string | readonly Value[] | { readonly [key: string]: unknown };

export type Values = Readonly<Record<string, Value>>;

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

// ── Errors ──────────────────────────────────────────────────────────────────────────────────────

/** RFC 9457, with the contract's additions. */
export interface ProblemBody {
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
  code: string;
  request_id?: string;
  errors?: FieldProblem[];
  current?: unknown;
}

export interface FieldProblem {
  /** JSON pointer into the request, e.g. `/values/ListPrice`. */
  path: string;
  code: string;
  message: string;
}

// ── Events ──────────────────────────────────────────────────────────────────────────────────────

export interface ItemChange {
  kind: "created" | "updated" | "deleted" | "restored";
  list: string;
  item: string;
  version: number;
  set?: Values;
  was?: Values;
}

export interface WorkspaceEvent {
  seq: number;
  at: string;
  actor: { user?: string; token?: string; job?: string };
  op?: string;
  kind: string;
  changes?: ItemChange[];
  data?: Record<string, unknown>;
  /** True when the event was too large to carry values: what is shown must be read again. */
  wide?: boolean;
  lists?: string[];
}

// ── Frames ──────────────────────────────────────────────────────────────────────────────────────

/** Where a reader stands in the log of a workspace, and for which audience that is true. */
export interface Position {
  seq: number;
  mark: string;
  audience: string;
}

export type ClientFrame =
  | { type: "hello"; token: string; client: string }
  | { type: "auth"; token: string }
  | { type: "subscribe"; id: number; workspace: string; lists: "all"; since?: Position }
  | { type: "unsubscribe"; id: number }
  | { type: "ping"; t: number }
  | WriteFrame;

export type WriteFrame =
  | { type: "edit"; op: string; workspace: string; list: string; items: { id: string; values: Values }[] }
  | { type: "create"; op: string; workspace: string; list: string; items: { id: string; values: Values }[] }
  | { type: "delete"; op: string; workspace: string; list: string; ids: string[] };

export type ServerFrame =
  | { type: "welcome"; session: string; heartbeat_ms?: number }
  | { type: "subscribed"; id: number; workspace: string; seq: number; mark: string; audience: string }
  | {
      type: "events";
      workspace: string;
      after: number;
      through: number;
      mark: string;
      events: WorkspaceEvent[];
    }
  | { type: "beat"; workspace: string; through: number; mark: string }
  | { type: "ack"; op: string; seq: number; items?: { id: string; version: number }[] }
  | { type: "reject"; op: string; problem: ProblemBody; current?: unknown }
  | { type: "reset"; workspace: string; id?: number; reason: string; seq: number; mark: string }
  | { type: "access"; workspace: string; role: Role | null }
  | { type: "drain"; after_ms: number }
  | { type: "error"; id?: number; problem: ProblemBody }
  | { type: "pong"; t: number };
