/**
 * Carries out what the pure session decides: the websocket, the reads, the timers. Decides nothing itself.
 * One connection serves one workspace.
 */
import { v7 as uuidv7 } from "uuid";
import { socketUrl } from "../api/origin";
import { Problem } from "../api/problem";
import * as resources from "../api/resources";
import { accessToken, onSession, refreshToken } from "../api/session";
import type { ProblemBody, Role, ServerFrame } from "../api/types";
import type { Operation, Write } from "./operations";
import type { StopReason } from "./reconnect";
import { delayBeforeAttempt } from "./reconnect";
import type { ListReplica } from "./replica";
import { type Effect, type Phase, WorkspaceSync } from "./workspace";

const SUBPROTOCOL = "estatebase.v1";
/** Bursts of changes redraw at most this often. */
const REDRAW_MS = 16;
/** Repeated reads of the same list wait this long, so that an import costs one a second. */
const REREAD_MS = 1000;

export interface ConnectionEvents {
  rejected(operation: Operation, problem: ProblemBody): void;
  /** A list, column, member or the workspace itself has changed. */
  metadata(event: string): void;
  stopped(reason: StopReason, lost: number): void;
}

type ReadEffect = Extract<Effect, { kind: "read" }>;

export class WorkspaceConnection {
  private readonly sync: WorkspaceSync;
  private socket: WebSocket | null = null;
  private readonly client = crypto.randomUUID();
  private readonly listeners = new Set<() => void>();
  private readonly timers = new Set<number>();
  private readonly aborted = new AbortController();
  private readonly failures = new Map<string, { problem: Problem; attempts: number }>();
  private connectTimer: number | null = null;
  private redrawTimer: number | null = null;
  private redrawnAt = 0;
  private revision = 0;

  constructor(
    readonly workspace: string,
    role: Role | null,
    private readonly events: ConnectionEvents,
  ) {
    this.sync = new WorkspaceSync(workspace, role, Math.random);
  }

  /** Connects, and stays connected until the returned function is called. */
  start(): () => void {
    const stopSession = onSession((session) => {
      if (session && this.sync.phase === "live") this.transmit({ type: "auth", token: session.access_token });
    });
    const heartbeat = window.setInterval(() => this.run(() => this.sync.tick(Date.now())), 1000);
    const online = () => this.comeBack();
    const offline = () => this.socket?.close();
    window.addEventListener("online", online);
    window.addEventListener("offline", offline);
    this.run(() => this.sync.connect());
    return () => {
      stopSession();
      window.clearInterval(heartbeat);
      window.removeEventListener("online", online);
      window.removeEventListener("offline", offline);
      this.dispose();
    };
  }

  // ── For the screens ───────────────────────────────────────────────────────────────────────────

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

  get waiting(): number {
    return this.sync.waiting;
  }

  open(list: string): ListReplica {
    return this.sync.open(list);
  }

  want(list: string, rows: number): void {
    this.run(() => this.sync.want(list, rows));
  }

  /** Why the rows of a list can't be read at the moment. */
  failure(list: string): Problem | null {
    return this.failures.get(list)?.problem ?? null;
  }

  submit(list: string, write: Write): void {
    this.run(() => this.sync.submit(uuidv7(), list, write));
    this.notify();
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
      case "close":
        this.later(effect.afterMs, () => this.socket?.close(1000));
        return;
      case "hello":
        void this.greet();
        return;
      case "send":
        this.transmit(effect.frame);
        return;
      case "write":
        void this.write(effect.operation);
        return;
      case "resend":
        this.later(effect.afterMs, () => this.run(() => this.sync.resend(effect.operation)));
        return;
      case "read":
        this.later(effect.read.reread ? REREAD_MS : 0, () => void this.read(effect));
        return;
      case "rejected":
        this.events.rejected(effect.operation, effect.problem);
        return;
      case "metadata":
        this.events.metadata(effect.event);
        return;
      case "stopped":
        this.events.stopped(effect.reason, effect.lost);
        return;
    }
  }

  private async connect(freshToken: boolean): Promise<void> {
    this.connectTimer = null;
    if (freshToken) await refreshToken().catch(() => null);
    if (this.aborted.signal.aborted || this.socket) return;
    const socket = new WebSocket(socketUrl, SUBPROTOCOL);
    this.socket = socket;
    socket.onopen = () => this.run(() => this.sync.opened(Date.now()));
    socket.onmessage = (message: MessageEvent<string>) => {
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

  private async greet(): Promise<void> {
    const token = await accessToken();
    if (token) this.transmit({ type: "hello", token, client: this.client });
    else this.socket?.close(1000);
  }

  private transmit(frame: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame));
  }

  private async read({ list, minSeq, read }: ReadEffect): Promise<void> {
    const { cursor, limit, request } = read;
    try {
      const { signal } = this.aborted;
      const page = await resources.items(this.workspace, list, { cursor, limit, minSeq, signal });
      this.failures.delete(list);
      this.run(() => this.sync.pageArrived(list, request, page.data, page.seq));
    } catch (cause) {
      if (!(cause instanceof Problem)) return;
      this.readFailed(list, request, cause);
    }
    this.changed();
  }

  private readFailed(list: string, request: number, problem: Problem): void {
    const attempts = (this.failures.get(list)?.attempts ?? 0) + 1;
    this.failures.set(list, { problem, attempts });
    if (problem.code === "not_found" || problem.code === "gone" || problem.code === "forbidden") return;
    const delay = problem.retryAfterMs ?? delayBeforeAttempt(attempts + 1, Math.random());
    this.later(delay, () => this.run(() => this.sync.readFailed(list, request)));
  }

  private async write(operation: Operation): Promise<void> {
    try {
      const seq = await resources.write(this.workspace, operation);
      this.run(() => this.sync.acknowledged(operation.id, seq));
    } catch (cause) {
      const problem = cause instanceof Problem ? cause.body : { code: "internal" };
      const body = problem.code === "offline" ? { code: "unavailable" } : problem;
      this.run(() => this.sync.rejected(operation.id, body));
    }
    this.changed();
  }

  // ── Timers and redraws ────────────────────────────────────────────────────────────────────────

  private later(delay: number, action: () => void): number {
    const timer = window.setTimeout(() => {
      this.timers.delete(timer);
      action();
    }, delay);
    this.timers.add(timer);
    return timer;
  }

  private clear(timer: number): void {
    window.clearTimeout(timer);
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
    for (const timer of this.timers) window.clearTimeout(timer);
    this.timers.clear();
    this.listeners.clear();
    const socket = this.socket;
    this.socket = null;
    socket?.close(1000);
  }
}
