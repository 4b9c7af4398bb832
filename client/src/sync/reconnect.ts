/** When to come back after a socket has closed, and when not to. Pure. */

const FLOOR_MS = 200;
const CEILING_MS = 15_000;

/** Close codes after which the same request would be refused again. */
const FINAL: Readonly<Record<number, StopReason>> = {
  4400: "protocol",
  4401: "signed_out",
  4403: "forbidden",
  4404: "gone",
  4426: "outdated",
};

export type StopReason = "protocol" | "signed_out" | "forbidden" | "gone" | "outdated" | "removed";

/** Why this close code ends the session for good; `null` when it is worth coming back. */
export function finalReason(code: number): StopReason | null {
  return FINAL[code] ?? null;
}

/** Full jitter: uniform below a ceiling that doubles each time, within 0.2–15 s. `random` is in [0, 1). */
export function delayBeforeAttempt(attempt: number, random: number): number {
  const ceiling = Math.min(CEILING_MS, FLOOR_MS * 2 ** Math.min(attempt + 1, 16));
  return Math.round(FLOOR_MS + random * (ceiling - FLOOR_MS));
}
