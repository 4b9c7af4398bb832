/** Made from asyncapi.json by scripts/generate-frames.mjs: `npm run generate`. Not to be edited. */

export const SUBPROTOCOL = "estatebase.v1";

export const PATH = "/api/v1/ws";

export const LIMITS = { frame_bytes: 65536, frame_items: 100, hello_within_ms: 5000, subscriptions: 100 } as const;

export const CLOSE_CODES = [
  { code: 4000, name: "drain", reconnect: true },
  { code: 4001, name: "token_expired", reconnect: true },
  { code: 4008, name: "too_slow", reconnect: true },
  { code: 4009, name: "limit", reconnect: true },
  { code: 4400, name: "protocol", reconnect: false },
  { code: 4401, name: "signed_out", reconnect: false },
  { code: 4403, name: "forbidden", reconnect: false },
  { code: 4404, name: "gone", reconnect: false },
  { code: 4426, name: "outdated", reconnect: false },
] as const;

/** Any JSON. */
export type Value =
  | null
  | boolean
  | number
  | string
  | readonly Value[]
  | { readonly [key: string]: Value };

/** By column key; `null` empties a cell. */
export type Values = Readonly<Record<string, Value>>;

export type ClientFrame =
  | ClientHello
  | ClientAuth
  | ClientSubscribe
  | ClientUnsubscribe
  | ClientEdit
  | ClientCreate
  | ClientDelete
  | ClientPresence
  | ClientPing;

export type ServerFrame =
  | ServerWelcome
  | ServerSubscribed
  | ServerEvents
  | ServerBeat
  | ServerAck
  | ServerReject
  | ServerReset
  | ServerAccess
  | ServerPresence
  | ServerJob
  | ServerDrain
  | ServerError
  | ServerPong;

export interface AckedItem {
  id: string;
  version: number;
}

/** Who did it: one of the four. */
export interface Author {
  /** Of the public link to a form. */
  form?: string;
  job?: string;
  token?: string;
  user?: string;
}

/** What became of a cell's links: ids of items. */
export interface CellLinks {
  added?: string[];
  /** All of them, where what stayed was moved. */
  order?: string[];
  removed?: string[];
  was_order?: string[];
}

/** What became of one item. */
export type Change = ItemChange | Erased;

export type ChangeKind = "created" | "updated" | "deleted" | "restored";

/** A newer token of the same person */
export interface ClientAuth {
  token: string;
  type: "auth";
}

/** Make items, all or none */
export interface ClientCreate {
  items: NewItemIn[];
  list: string;
  /** UUIDv7: it takes effect at most once, whatever is sent again. */
  op: string;
  type: "create";
  workspace: string;
}

/** Put items into the trash, all or none */
export interface ClientDelete {
  ids: string[];
  list: string;
  /** UUIDv7: it takes effect at most once, whatever is sent again. */
  op: string;
  type: "delete";
  workspace: string;
}

/** Change items, all or none */
export interface ClientEdit {
  items: PatchIn[];
  list: string;
  /** UUIDv7: it takes effect at most once, whatever is sent again. */
  op: string;
  type: "edit";
  workspace: string;
}

/** The first frame, within 5 s: who speaks. Never a token in the URL */
export interface ClientHello {
  client?: string | null;
  /** The default `since` of later subscriptions, by workspace. */
  resume?: Resume[];
  token: string;
  type: "hello";
}

/** Answered by pong */
export interface ClientPing {
  t?: Value;
  type: "ping";
}

/** Where the person is; lossy, never in the log */
export interface ClientPresence {
  /** A column's key. */
  column?: string | null;
  item?: string | null;
  list: string;
  state: PresenceState;
  type: "presence";
  workspace: string;
}

/** Follow lists of a workspace, from now or from a position on; one position a socket and workspace */
export interface ClientSubscribe {
  id: number;
  lists?: "all" | string[];
  since?: Position | null;
  type: "subscribe";
  workspace: string;
}

/** End a subscription */
export interface ClientUnsubscribe {
  id: number;
  type: "unsubscribe";
}

/** A change whose content was erased for good. */
export interface Erased {
  kind: ErasedKind;
}

export type ErasedKind = "erased";

/** One command of the log. */
export interface Event {
  actor: Author;
  at: string;
  /** The large change that it is a step of. */
  change?: string;
  /** With `items.changed`, `links.changed` and `items.merged`: an entry for each item that shows another state by it, those at the other ends of links too. */
  changes?: Change[];
  count?: number;
  /** With every other kind. `view.created|updated|deleted|unshared|link_created|link_revoked`: `view` (whole, or its `id`, `list_id`, `owner_id` and `shared`), `was`, `link`. A private view's go to its owner alone; `view.unshared` tells everybody else to forget it. `comment.created|updated|deleted`: `comment`, `was`. `items.computed`: `list`, `columns`, `first`, `last` and `count` of the items of which computed cells changed. `computed`, beside whatever changed columns or lists: by `list`, the `columns` whose cells are computed anew. */
  data?: Values;
  /** `family.past_tense`; a client leaves alone what it doesn't know. */
  kind: string;
  lists?: string[];
  /** The operation that it is the effect of, for its author. */
  op?: string;
  seq: number;
  /** The `seq` that it takes back. */
  undoes?: number;
  /** It was too large for a socket: read `lists` again, where `count` things changed. */
  wide?: boolean;
}

/** One broken rule of the input, by JSON pointer (RFC 6901). */
export interface FieldError {
  /** Machine-readable rule name, e.g. `not_a_number`. */
  code: string;
  /** A sentence for people. */
  message: string;
  /** Where in the request, e.g. `/items/3/values/ListPrice`. */
  path: string;
}

export interface ItemChange {
  item: string;
  kind: ChangeKind;
  /** By key of a link column, all that became of the cell. */
  links?: Values;
  list: string;
  /** With `items.merged`: the items that it takes in, which have entries of their own. */
  merged?: string[];
  /** By column key; `null` empties a cell. A cell of links is an array of its first ten, as `{"id"}`: titles are as of each reading. Their number stands beside it as `<key>__count`. */
  set?: Values;
  version: number;
  /** What stood there before. */
  was?: Values;
}

/** What a socket may do. */
export interface Limits {
  frame_bytes: number;
  frame_items: number;
  subscriptions: number;
}

/** A new item, in a frame and in a REST batch. */
export interface NewItemIn {
  id?: string | null;
  values: Values;
}

/** A change of an item, in a frame and in a REST batch. */
export interface PatchIn {
  id: string;
  if_values?: Values | null;
  if_version?: number | null;
  values: Values;
}

export interface Position {
  /** What the position was good for; another one now is answered by a reset. */
  audience?: string | null;
  /** The first 8 bytes, in hex, of the log's hash at `seq`. */
  mark: string;
  seq: number;
}

export type PresenceState = "viewing" | "editing";

/** Somebody at work in a workspace, at one socket. */
export interface Present {
  /** A column's key. */
  column?: string;
  item?: string;
  list: string;
  name: string;
  session: string;
  state: PresentState;
  user: string;
}

/** The same as the others see it. */
export type PresentState = "viewing" | "editing" | "left";

/** RFC 9457. */
export interface Problem {
  /** Machine-readable. */
  code: string;
  /** The thing as it stands, with 409 and 412. */
  current?: Value;
  detail: string;
  errors?: FieldError[];
  request_id: string;
  status: number;
  title: string;
  type: string;
}

/** A position from an earlier socket. */
export interface Resume {
  audience?: string | null;
  mark: string;
  seq: number;
  workspace: string;
}

/** A member's role. Each includes all that the ones before it may do. */
export type Role = "viewer" | "commenter" | "editor" | "admin" | "owner";

/** The role has changed or was taken away */
export interface ServerAccess {
  role: Role | null;
  type: "access";
  workspace: string;
}

/** An edit is committed: data, event and audit in one transaction */
export interface ServerAck {
  items: AckedItem[];
  op: string;
  seq: number;
  type: "ack";
}

/** After 5 s of silence: the position */
export interface ServerBeat {
  mark: string;
  through: number;
  type: "beat";
  workspace: string;
}

/** This server goes away: reconnect after the delay */
export interface ServerDrain {
  /** How long to wait before the reconnect. */
  after_ms: number;
  type: "drain";
}

/** A frame or a subscription was refused; the 10th bad frame closes */
export interface ServerError {
  /** The subscription that it is about. */
  id?: number;
  problem: Problem;
  type: "error";
}

/** All that this socket may see of (after, through], in order */
export interface ServerEvents {
  /** The socket's position before it; another one than the client's means a hole. */
  after: number;
  events: Event[];
  /** Of the log at `through`. */
  mark: string;
  through: number;
  type: "events";
  workspace: string;
}

/** Progress of a job, to whoever started it and to admins, at most 4 a second */
export interface ServerJob {
  created: number;
  /** Bytes of the file. */
  done: number;
  failed: number;
  job: string;
  /** Rows. */
  read: number;
  /** The position at which access was checked. */
  seq: number;
  state: string;
  total: number;
  type: "job";
  workspace: string;
}

/** The answer to ping */
export interface ServerPong {
  t?: Value;
  type: "pong";
}

/** Who is where: all after subscribe, then what changes */
export interface ServerPresence {
  /** Everybody, not just what has changed. */
  full?: boolean;
  /** The position at which access was checked. */
  seq: number;
  type: "presence";
  users: Present[];
  workspace: string;
}

/** An edit had no effect, and why */
export interface ServerReject {
  /** What stands, when the edit's condition did not hold. */
  current?: Value;
  op: string;
  problem: Problem;
  type: "reject";
}

/** The past can't be replayed: read again what is shown, from seq on */
export interface ServerReset {
  /** The subscription that it answers; absent when something changed on the way. */
  id?: number;
  mark: string;
  /** `foreign_mark`, `future_seq`, `changed_audience`, `too_far` or `too_old`. */
  reason: string;
  seq: number;
  type: "reset";
  workspace: string;
}

/** The position: events from seq + 1 on follow; from an older one when since was good */
export interface ServerSubscribed {
  /** An opaque name of what this socket may see. */
  audience: string;
  id: number;
  mark: string;
  seq: number;
  type: "subscribed";
  workspace: string;
}

/** The answer to hello */
export interface ServerWelcome {
  heartbeat_ms: number;
  limits: Limits;
  server_time: string;
  session: string;
  type: "welcome";
  user: string;
}
