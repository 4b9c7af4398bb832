/** One authorised request to the API: JSON in, JSON out, every failure a `Problem`. */
import { apiBase } from "./origin";
import { offline, Problem } from "./problem";
import { accessToken, refreshToken, signOut } from "./session";
import type { Refusal } from "./types";

export interface RequestOptions {
  method?: "GET" | "POST" | "PATCH" | "DELETE";
  body?: unknown;
  query?: Record<string, string | number | null | undefined>;
  /** The answer must not show an older state of the workspace. */
  minSeq?: number | null;
  idempotencyKey?: string;
  signal?: AbortSignal;
}

export interface Answer<T> {
  data: T;
  /** `X-Workspace-Seq`: a position at or before the state shown; 0 where the header is missing. */
  seq: number;
}

export async function request<T>(path: string, options: RequestOptions = {}): Promise<Answer<T>> {
  let response = await attempt(path, options, await accessToken());
  if (response.status === 401) response = await attempt(path, options, await refreshToken());
  if (response.status === 401) await signOut();
  if (!response.ok) throw await problemOf(response);
  const data = response.status === 204 ? undefined : await response.json();
  return { data: data as T, seq: Number(response.headers.get("x-workspace-seq") ?? 0) };
}

async function attempt(path: string, options: RequestOptions, token: string | null): Promise<Response> {
  const headers = new Headers({ accept: "application/json" });
  if (token) headers.set("authorization", `Bearer ${token}`);
  if (options.body !== undefined) headers.set("content-type", "application/json");
  if (options.minSeq) headers.set("x-min-seq", String(options.minSeq));
  if (options.idempotencyKey) headers.set("idempotency-key", options.idempotencyKey);
  const init: RequestInit = { method: options.method ?? "GET", headers };
  if (options.body !== undefined) init.body = JSON.stringify(options.body);
  if (options.signal) init.signal = options.signal;
  try {
    return await fetch(apiBase + path + queryString(options.query), init);
  } catch (cause) {
    if (options.signal?.aborted) throw cause;
    throw offline();
  }
}

function queryString(query: RequestOptions["query"]): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== null && value !== undefined) parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return text && `?${text}`;
}

async function problemOf(response: Response): Promise<Problem> {
  const retryAfter = Number(response.headers.get("retry-after"));
  const body: unknown = await response.json().catch(() => null);
  return new Problem(isProblem(body) ? body : withoutBody(response.status), retryAfter * 1000 || null);
}

function isProblem(body: unknown): body is Refusal {
  return typeof body === "object" && body !== null && "code" in body && typeof body.code === "string";
}

/** Something between us and the server answered in its stead. */
function withoutBody(status: number): Refusal {
  if (status === 401) return { code: "unauthenticated", status };
  if (status === 404) return { code: "not_found", status };
  if (status === 413) return { code: "too_large", status };
  if (status === 429) return { code: "rate_limited", status };
  return { code: status === 502 || status === 503 || status === 504 ? "unavailable" : "internal", status };
}
