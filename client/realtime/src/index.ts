/** The typed client of the websocket: one workspace, its lists kept current, edits that show at once. */
import { type Options, WorkspaceConnection } from "./connection";
import { PATH } from "./frames";
import { fetchRest } from "./rest";

export { type Options, WorkspaceConnection } from "./connection";
export * from "./frames";
export type { Item, Page, Refusal } from "./items";
export type { Operation, Write } from "./operations";
export type { StopReason } from "./reconnect";
export type { ListReplica, Row, Touch } from "./replica";
export { fetchRest, type PageRequest, RequestFailed, type Rest, requestOf } from "./rest";
export type { Phase, Whereabouts } from "./workspace";

/** What is needed where the server is one origin: addresses follow from it. */
export type SimpleOptions = Omit<Options, "url" | "rest"> & { origin: string };

/** Makes a connection; `start` opens it. */
export function connect({ origin, ...options }: SimpleOptions): WorkspaceConnection {
  const url = `${origin.replace(/^http/, "ws")}${PATH}`;
  const rest = fetchRest(`${origin}${PATH.replace(/\/ws$/, "")}`, options.token);
  return new WorkspaceConnection({ ...options, url, rest });
}
