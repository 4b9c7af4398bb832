/**
 * An operation: one write of this client, from the keystroke until the log shows it.
 * Pure data. An operation's id is its promise: sent again under the same id it takes effect at most once.
 */
import type { ClientCreate, ClientDelete, ClientEdit, Values } from "./frames";
import type { Refusal } from "./items";

type WriteFrame = ClientEdit | ClientCreate | ClientDelete;

export type Write =
  | { kind: "edit"; items: { id: string; values: Values }[] }
  | { kind: "create"; items: { id: string; values: Values }[] }
  | { kind: "delete"; ids: string[] };

export interface Operation {
  /** UUIDv7. */
  readonly id: string;
  readonly list: string;
  readonly write: Write;
  /** `committed`: acknowledged, but its event hasn't been seen yet. */
  state: "queued" | "sent" | "committed";
  /** The `seq` it was committed at. */
  seq: number | null;
  /** How often it was sent. */
  attempts: number;
}

/** The ids of the items that a write touches. */
export function touchedItems(write: Write): string[] {
  return write.kind === "delete" ? write.ids : write.items.map((item) => item.id);
}

/** The frame that carries an operation. */
export function frameOf(operation: Operation, workspace: string): WriteFrame {
  const { id: op, list, write } = operation;
  if (write.kind === "delete") return { type: "delete", op, workspace, list, ids: write.ids };
  return { type: write.kind, op, workspace, list, items: write.items };
}

/** Refusals that say nothing about the write itself: the same operation may be taken later. */
export function isRetryable(problem: Refusal): boolean {
  return problem.code === "rate_limited" || problem.code === "unavailable" || problem.code === "internal";
}
