/** The two requests that go with a socket: reading a page, and writing what is too large for a frame. */
import type { Values } from "./frames";
import type { Item, Page, Refusal } from "./items";
import type { Operation } from "./operations";

export interface PageRequest {
  cursor: string | null;
  limit: number;
  /** The page must not show an older state than this. */
  minSeq: number | null;
  signal: AbortSignal;
}

/** Both throw [`RequestFailed`]. */
export interface Rest {
  /** A page of a list in id order, and the `seq` of the state that it shows at least. */
  read(workspace: string, list: string, page: PageRequest): Promise<{ data: Page<Item>; seq: number }>;
  /** Commits a write, its id as the idempotency key; the `seq` it was committed at. */
  write(workspace: string, operation: Operation): Promise<number>;
}

/** A request that was refused, or that nobody answered (`offline`). */
export class RequestFailed extends Error {
  constructor(
    readonly refusal: Refusal,
    /** How long the server asks to wait before a retry. */
    readonly retryAfterMs: number | null = null,
    message: string = refusal.detail ?? refusal.code,
  ) {
    super(message);
  }

  get code(): string {
    return this.refusal.code;
  }

  static of(cause: unknown): RequestFailed {
    return cause instanceof RequestFailed ? cause : new RequestFailed({ code: "offline" });
  }
}

/** How an operation is said over REST, below the workspace. */
export function requestOf({ list, write }: Operation): {
  method: "POST" | "PATCH";
  path: string;
  body: { ids: string[] } | { items: { id: string; values: Values }[] };
} {
  const path = `/lists/${list}/items`;
  if (write.kind === "delete") return { method: "POST", path: `${path}/delete`, body: { ids: write.ids } };
  return { method: write.kind === "create" ? "POST" : "PATCH", path, body: { items: write.items } };
}

/** The requests by `fetch`. `api` is `https://<host>/api/v1`. */
export function fetchRest(api: string, token: (fresh: boolean) => Promise<string | null>): Rest {
  const call = async (path: string, init: RequestInit, headers: Record<string, string>) => {
    const answer = await fetch(`${api}${path}`, {
      ...init,
      headers: { ...headers, authorization: `Bearer ${(await token(false)) ?? ""}` },
    });
    if (!answer.ok) throw await failureOf(answer);
    return { answer, seq: Number(answer.headers.get("x-workspace-seq")) };
  };
  return {
    async read(workspace, list, { cursor, limit, minSeq, signal }) {
      const query = new URLSearchParams({ limit: String(limit), ...(cursor === null ? {} : { cursor }) });
      const headers: Record<string, string> = minSeq === null ? {} : { "x-min-seq": String(minSeq) };
      const path = `/workspaces/${workspace}/lists/${list}/items?${query}`;
      const { answer, seq } = await call(path, { signal }, headers);
      return { data: (await answer.json()) as Page<Item>, seq };
    },
    async write(workspace, operation) {
      const { method, path, body } = requestOf(operation);
      const headers = { "content-type": "application/json", "idempotency-key": operation.id };
      const init = { method, body: JSON.stringify(body) };
      const { answer, seq } = await call(`/workspaces/${workspace}${path}`, init, headers);
      if (answer.status === 204) return seq;
      return ((await answer.json()) as Page<Item>).data[0]?.seq ?? seq;
    },
  };
}

async function failureOf(answer: Response): Promise<RequestFailed> {
  const body = (await answer.json().catch(() => null)) as Refusal | null;
  const wait = Number(answer.headers.get("retry-after") ?? Number.NaN);
  return new RequestFailed(body ?? { code: "internal" }, Number.isFinite(wait) ? wait * 1000 : null);
}
