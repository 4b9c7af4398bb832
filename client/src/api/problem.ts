/** What went wrong, as a value, and as a sentence that a person understands. No IO. */
import { RequestFailed } from "@estatebase/realtime";
import type { Column, FieldError, Refusal } from "./types";

/** Any refusal or failure of a request. `code` is the contract's, or `offline` when nobody answered. */
export class Problem extends RequestFailed {
  constructor(refusal: Refusal, retryAfterMs: number | null = null) {
    super(refusal, retryAfterMs, sentenceOf(refusal));
  }
}

export const offline = () => new Problem({ code: "offline" });

const SENTENCES: Readonly<Record<string, string>> = {
  offline: "The server can't be reached. Check your connection; your changes are kept until it is back.",
  unauthenticated: "Your session has ended. Sign in again to go on.",
  forbidden: "Your role in this workspace doesn't allow that.",
  not_found: "This isn't here any more, or isn't shared with you.",
  gone: "This was deleted in the meantime.",
  conflict: "Somebody else changed this at the same time. Have another look, then try again.",
  precondition_failed: "Somebody else changed this since you opened it.",
  last_owner: "A workspace needs an owner. Make somebody else an owner first.",
  too_large: "That is too large to be saved.",
  rate_limited: "That was a lot at once. Wait a moment, then try again.",
  unavailable: "The server is busy just now. Try again in a moment.",
  internal: "Something went wrong on our side. Try again in a moment.",
};

/** One sentence for people. With `columns`, fields are called by the names that people gave them. */
export function sentenceOf(body: Refusal, columns: readonly Column[] = []): string {
  const field = body.errors?.[0];
  if (field) return fieldSentence(field, columns);
  const known = SENTENCES[body.code];
  if (known) return known;
  return asSentence(body.detail ?? body.title ?? "That didn't work");
}

function fieldSentence(field: FieldError, columns: readonly Column[]): string {
  const key = field.path.split("/").at(-1) ?? "";
  const name = columns.find((column) => column.key === key)?.name ?? humanised(key);
  const message = field.message.replace(/\.$/, "");
  return asSentence(name && !/^\d+$/.test(name) ? `${name}: ${message}` : message);
}

function humanised(key: string): string {
  const words = key.replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function asSentence(text: string): string {
  const trimmed = text.trim();
  const capital = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}
