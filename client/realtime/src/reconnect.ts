/** When to come back after a socket has closed, and when not to. Pure. */
import { CLOSE_CODES } from "./frames";

const FLOOR_MS = 200;
const CEILING_MS = 15_000;

/** The codes of the contract after which the same request would be refused again. */
type Final = Extract<(typeof CLOSE_CODES)[number], { reconnect: false }>;

/** Why a session has ended for good. */
export type StopReason = Final["name"] | "removed";

/** Why this close code ends the session for good; `null` when it is worth coming back. */
export function finalReason(code: number): StopReason | null {
  const final = CLOSE_CODES.find((known): known is Final => known.code === code && !known.reconnect);
  return final?.name ?? null;
}

/** Full jitter: uniform below a ceiling that doubles each time, within 0.2–15 s. `random` is in [0, 1). */
export function delayBeforeAttempt(attempt: number, random: number): number {
  const ceiling = Math.min(CEILING_MS, FLOOR_MS * 2 ** Math.min(attempt + 1, 16));
  return Math.round(FLOOR_MS + random * (ceiling - FLOOR_MS));
}
