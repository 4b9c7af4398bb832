/**
 * Carries out what the pure session decides: the websocket, the reads, the timers. Decides nothing itself.
 * One connection serves one workspace.
 */
import { v7 as uuidv7 } from "uuid";
import {
  type ClientFrame,
  type Present,
  type Role,
  type ServerFrame,
  type ServerJob,
  SUBPROTOCOL,
} from "./frames";
import type { Refusal } from "./items";
import type { Operation, Write } from "./operations";
import { delayBeforeAttempt, type StopReason } from "./reconnect";
import type { ListReplica } from "./replica";
import { RequestFailed, type Rest } from "./rest";
import { type Effect, type Phase, type Whereabouts, WorkspaceSync } from "./workspace";

/** Bursts of changes redraw at most this often. */
const REDRAW_MS = 16;
/** Repeated reads of the same list wait this long, so that an import costs one a second. */
const REREAD_MS = 1000;
const TICK_MS = 1000;

export interface Options {
  /** The socket's address: `wss://<host>/api/v1/ws`. */
  url: string;
  workspace: string;
  /** The role, where it is known before the socket says more. */
  role?: Role | null;
  /** The access token; with `fresh` another than before, for the server has refused that. */
  token(fresh: boolean): Promise<string | null>;
  /** Calls back with each renewed token. Returns how to stop. */
  onToken?(listener: (token: string) => void): () => void;
  /** Reads pages, and writes what is too large for a frame. */
  rest: Rest;
  /** An own write was refused and is rolled back. */
  rejected?(operation: Operation, problem: Refusal): void;
  /** A list, column, member or the workspace itself has changed. */
  metadata?(event: string): void;
  job?(job: ServerJob): void;
  /** It is over for good; so many own writes were not saved. */
  stopped?(reason: StopReason, lost: number): void;
}

type Timer = ReturnType<typeof setTimeout>;
type ReadEffect = Extract<Effect, { kind: "read" }>;

export class WorkspaceConnection {
  private readonly sync: WorkspaceSync;
  private socket: WebSocket | null = null;
  private readonly client = crypto.randomUUID();
  private readonly listeners = new Set<() => void>();
  private readonly timers = new Set<Timer>();
  private readonly aborted = new AbortController();
  private readonly failures = new Map<string, { problem: RequestFailed; attempts: number }>();
  private connectTimer: Timer | null = null;
  private redrawTimer: Timer | null = null;
  private redrawnAt = Number.NEGATIVE_INFINITY;
  private revision = 0;

  constructor(private readonly options: Options) {
    this.sync = new WorkspaceSync(options.workspace, options.role ?? null, Math.random);
  }

  /** Connects, and stays connected until the returned function is called. */
  start(): () => void {
    const stopTokens = this.options.onToken?.((token) => {
      if (this.sync.phase === "live") this.transmit({ type: "auth", token }, this.socket);
    });
    const heartbeat = setInterval(() => this.run(() => this.sync.tick(Date.now())), TICK_MS);
    // Where there is a browser, it knows when the network comes and goes.
    const { signal } = this.aborted;
    globalThis.addEventListener?.("online", () => this.comeBack(), { signal });
    globalThis.addEventListener?.("offline", () => this.socket?.close(), { signal });
    this.run(() => this.sync.connect());
    return () => {
      stopTokens?.();
      clearInterval(heartbeat);
      this.dispose();
    };
  }

  // ── For the screens ───────────────────────────────────────────────────────────────────────────

  get workspace(): string {
    return this.options.workspace;
  }

  /** Calls back after every change of anything below. Returns how to stop. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Another number after every change. */
  readonly getRevision = (): number => this.revision;

  get phase(): Phase {
    return this.sync.phase;
  }

  get role(): Role | null {
    return this.sync.role;
  }

  /** How many own writes wait for the server. */
  get waiting(): number {
    return this.sync.waiting;
  }

  /** Who else is here, one entry a socket. */
  get present(): readonly Present[] {
    return this.sync.present;
  }

  /** The rows of a list, kept current. */
  open(list: string): ListReplica {
    return this.sync.open(list);
  }

  /** Asks that at least so many rows of a list be there. */
  want(list: string, rows: number): void {
    this.run(() => this.sync.want(list, rows));
  }

  /** Why the rows of a list can't be read at the moment. */
  failure(list: string): RequestFailed | null {
    return this.failures.get(list)?.problem ?? null;
  }

  /** Shows a write at once and sends it until the server has answered. Returns its operation's id. */
  submit(list: string, write: Write): string {
    const operation = uuidv7();
    this.run(() => this.sync.submit(operation, list, write));
    this.notify();
    return operation;
  }

  /** Tells the others where the own person is. */
  appear(whereabouts: Whereabouts): void {
    this.run(() => this.sync.appear(whereabouts, Date.now()));
  }

  // ── Carrying out ──────────────────────────────────────────────────────────────────────────────

  private run(step: () => void): void {
    step();
    const effects = this.sync.drain();
    for (const effect of effects) this.carryOut(effect);
    if (effects.length > 0) this.changed();
  }

  private carryOut(effect: Effect): void {
    switch (effect.kind) {
      case "connect":
        this.connectTimer = this.later(effect.afterMs, () => void this.connect(effect.freshToken));
        return;
      case "close": {
        const { socket } = this;
        this.later(effect.afterMs, () => socket?.close(1000));
        return;
      }
      case "hello":
        void this.greet(this.socket);
        return;
      case "send":
        this.transmit(effect.frame, this.socket);
        return;
      case "write":
        void this.write(effect.operation);
        return;
      case "resend":
        this.later(effect.afterMs, () => this.run(() => this.sync.resend(effect.operation)));
        return;
      case "presence":
        this.later(effect.afterMs, () => this.run(() => this.sync.presenceIsDue(Date.now())));
        return;
      case "read":
        this.later(effect.read.reread ? REREAD_MS : 0, () => void this.read(effect));
        return;
      case "rejected":
        this.options.rejected?.(effect.operation, effect.problem);
        return;
      case "metadata":
        this.options.metadata?.(effect.event);
        return;
      case "job":
        this.options.job?.(effect.job);
        return;
      case "stopped":
        this.options.stopped?.(effect.reason, effect.lost);
        return;
    }
  }

  private async connect(freshToken: boolean): Promise<void> {
    this.connectTimer = null;
    if (freshToken) await this.options.token(true).catch(() => null);
    if (this.aborted.signal.aborted || this.socket) return;
    const socket = new WebSocket(this.options.url, SUBPROTOCOL);
    this.socket = socket;
    socket.onopen = () => this.run(() => this.sync.opened(Date.now()));
    socket.onmessage = (message: MessageEvent<string>) => {
      if (this.socket !== socket) return;
      const frame = JSON.parse(message.data) as ServerFrame;
      this.run(() => this.sync.received(frame, Date.now()));
      this.changed();
    };
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.run(() => this.sync.closed(event.code));
      this.changed();
    };
  }

  /** The network is back: there is no point in sitting out the delay. */
  private comeBack(): void {
    if (this.connectTimer === null) return;
    this.clear(this.connectTimer);
    void this.connect(false);
  }

  private async greet(socket: WebSocket | null): Promise<void> {
    const token = await this.options.token(false).catch(() => null);
    if (token) this.transmit({ type: "hello", token, client: this.client }, socket);
    else socket?.close(1000);
  }

  private transmit(frame: ClientFrame, socket: WebSocket | null): void {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
  }

  private async read({ list, minSeq, read }: ReadEffect): Promise<void> {
    const { cursor, limit, request } = read;
    const { signal } = this.aborted;
    try {
      const page = await this.options.rest.read(this.workspace, list, { cursor, limit, minSeq, signal });
      this.failures.delete(list);
      this.run(() => this.sync.pageArrived(list, request, page.data, page.seq, Date.now()));
    } catch (cause) {
      if (signal.aborted) return;
      this.readFailed(list, request, RequestFailed.of(cause));
    }
    this.changed();
  }

  private readFailed(list: string, request: number, problem: RequestFailed): void {
    const attempts = (this.failures.get(list)?.attempts ?? 0) + 1;
    this.failures.set(list, { problem, attempts });
    if (problem.code === "not_found" || problem.code === "gone" || problem.code === "forbidden") return;
    const delay = problem.retryAfterMs ?? delayBeforeAttempt(attempts + 1, Math.random());
    this.later(delay, () => this.run(() => this.sync.readFailed(list, request)));
  }

  private async write(operation: Operation): Promise<void> {
    try {
      const seq = await this.options.rest.write(this.workspace, operation);
      this.run(() => this.sync.acknowledged(operation.id, seq));
    } catch (cause) {
      const { refusal } = RequestFailed.of(cause);
      const problem = refusal.code === "offline" ? { code: "unavailable" } : refusal;
      this.run(() => this.sync.rejected(operation.id, problem));
    }
    this.changed();
  }

  // ── Timers and redraws ────────────────────────────────────────────────────────────────────────

  private later(delay: number, action: () => void): Timer {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      action();
    }, delay);
    this.timers.add(timer);
    return timer;
  }

  private clear(timer: Timer): void {
    clearTimeout(timer);
    this.timers.delete(timer);
  }

  private changed(): void {
    if (this.redrawTimer !== null) return;
    const rest = this.redrawnAt + REDRAW_MS - performance.now();
    if (rest <= 0) this.notify();
    else {
      this.redrawTimer = this.later(rest, () => {
        this.redrawTimer = null;
        this.notify();
      });
    }
  }

  private notify(): void {
    this.redrawnAt = performance.now();
    this.revision += 1;
    for (const listener of this.listeners) listener();
  }

  private dispose(): void {
    this.aborted.abort();
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
    this.listeners.clear();
    const { socket } = this;
    this.socket = null;
    socket?.close(1000);
  }
}
