/**
 * The conversation with one workspace: the socket's protocol, the position in the log, the open lists and
 * the operations under way. Pure: every input is a method, every consequence an effect to be carried out
 * by whoever drains them; time and chance come in as arguments.
 *
 *   connecting → greeting → subscribing → live      (a hole in the log leads back to subscribing)
 */
import type {
  ClientFrame,
  ClientPresence,
  Present,
  Role,
  ServerAccess,
  ServerBeat,
  ServerError,
  ServerEvents,
  ServerFrame,
  ServerJob,
  ServerPong,
  ServerPresence,
  ServerReset,
  ServerSubscribed,
  Event as WorkspaceEvent,
} from "./frames";
import type { Item, Page, Refusal } from "./items";
import { frameOf, isRetryable, type Operation, type Write } from "./operations";
import { delayBeforeAttempt, finalReason, type StopReason } from "./reconnect";
import { ListReplica, type ReadRequest } from "./replica";

export type Phase = "offline" | "connecting" | "greeting" | "subscribing" | "live" | "stopped";

export type Effect =
  | { kind: "connect"; afterMs: number; freshToken: boolean }
  | { kind: "close"; afterMs: number }
  | { kind: "hello" }
  | { kind: "send"; frame: ClientFrame }
  /** Too large for a frame: the same write over REST, its id as the idempotency key. */
  | { kind: "write"; operation: Operation }
  | { kind: "resend"; operation: string; afterMs: number }
  | { kind: "read"; list: string; minSeq: number | null; read: ReadRequest }
  | { kind: "rejected"; operation: Operation; problem: Refusal }
  | { kind: "metadata"; event: string }
  | { kind: "job"; job: ServerJob }
  /** Own presence is due, so much later. */
  | { kind: "presence"; afterMs: number }
  | { kind: "stopped"; reason: StopReason; lost: number };

/** Above this a frame would be refused (64 KiB); some room is left for its envelope. */
const LARGEST_FRAME = 60 * 1024;
/** The server beats every 5 s of silence; so long without a word, and it is asked. */
const ASK_AFTER_MS = 10_000;
const GIVE_UP_AFTER_MS = 18_000;
const MOST_ATTEMPTS = 6;
/** So long after a commit every server has told its sockets of it. */
const TOLD_WITHIN_MS = 2_000;
/** Own presence is told at most so often (the server takes 10 a second). */
const PRESENCE_EVERY_MS = 150;

/** Where a reader stands in the log of a workspace, and for which audience that is true. */
interface Place {
  seq: number;
  mark: string;
  audience: string;
}

interface OpenList {
  readonly replica: ListReplica;
  wanted: number;
  /** When its last page came, until the log has surely told of all that the page showed. */
  readAt: number | null;
  /** The server has answered since: the next frame without a hole before it settles the page. */
  answered: boolean;
}

/** Where a person is, for the others to see. */
export type Whereabouts = Omit<ClientPresence, "type" | "workspace">;

export class WorkspaceSync {
  private currentPhase: Phase = "offline";
  private position: Place | null = null;
  private readonly lists = new Map<string, OpenList>();
  private operations: Operation[] = [];
  private effects: Effect[] = [];
  private subscription = 0;
  private freshSocket = false;
  private everSubscribed = false;
  private attempt = 0;
  private heardAt = 0;
  private asked = false;
  private currentRole: Role | null;
  private session: string | null = null;
  private readonly others = new Map<string, Present>();
  private whereabouts: Whereabouts | null = null;
  private presenceDue = false;
  private presenceAt = Number.NEGATIVE_INFINITY;

  constructor(
    readonly workspace: string,
    role: Role | null,
    private readonly random: () => number,
  ) {
    this.currentRole = role;
  }

  get phase(): Phase {
    return this.currentPhase;
  }

  get role(): Role | null {
    return this.currentRole;
  }

  /** The `seq` up to which this client has heard everything; `null` before it has subscribed. */
  get seq(): number | null {
    return this.position?.seq ?? null;
  }

  /** Who else is here, one entry a socket. */
  get present(): readonly Present[] {
    return [...this.others.values()];
  }

  /** How many own operations wait for the server. */
  get waiting(): number {
    return this.operations.filter((operation) => operation.state !== "committed").length;
  }

  /** Takes what is to be done since the last call. */
  drain(): Effect[] {
    for (const [list, { replica, wanted }] of this.lists) {
      const read = this.currentPhase === "stopped" ? null : replica.nextRead(wanted);
      if (read) this.effects.push({ kind: "read", list, minSeq: this.seq, read });
    }
    const effects = this.effects;
    this.effects = [];
    return effects;
  }

  // ── Lists ─────────────────────────────────────────────────────────────────────────────────────

  /** The replica of a list, made on first use. */
  open(list: string): ListReplica {
    const known = this.lists.get(list);
    if (known) return known.replica;
    const replica = new ListReplica(list);
    if (this.position) replica.followFrom(this.position.seq);
    this.lists.set(list, { replica, wanted: 1, readAt: null, answered: false });
    return replica;
  }

  /** Asks that at least so many rows of a list be there. */
  want(list: string, rows: number): void {
    const entry = this.lists.get(list);
    if (entry) entry.wanted = Math.max(entry.wanted, rows);
  }

  pageArrived(list: string, request: number, page: Page<Item>, seq: number, now: number): void {
    const entry = this.lists.get(list);
    entry?.replica.pageArrived(request, page, seq);
    if (entry) Object.assign(entry, { readAt: now, answered: false });
    this.settle();
  }

  readFailed(list: string, request: number): void {
    this.lists.get(list)?.replica.readFailed(request);
  }

  // ── Own writes ────────────────────────────────────────────────────────────────────────────────

  /** Shows a write at once and sends it as soon as there is somebody to send it to. */
  submit(id: string, list: string, write: Write): void {
    const operation: Operation = { id, list, write, state: "queued", seq: null, attempts: 0 };
    this.operations.push(operation);
    this.overlay(list);
    if (this.currentPhase === "live") this.dispatch(operation);
  }

  /** The moment of a `resend` effect has come. */
  resend(id: string): void {
    const operation = this.operations.find((candidate) => candidate.id === id);
    if (operation?.state === "queued" && this.currentPhase === "live") this.dispatch(operation);
  }

  /** The server has committed an operation at `seq`. */
  acknowledged(id: string, seq: number): void {
    const operation = this.operations.find((candidate) => candidate.id === id);
    if (!operation) return;
    operation.state = "committed";
    operation.seq = seq;
    this.settle();
  }

  /** The server has refused an operation: it is rolled back, or tried again if the refusal was for now. */
  rejected(id: string, problem: Refusal): void {
    const operation = this.operations.find((candidate) => candidate.id === id);
    if (!operation) return;
    if (isRetryable(problem) && operation.attempts < MOST_ATTEMPTS) {
      operation.state = "queued";
      const afterMs = delayBeforeAttempt(operation.attempts, this.random());
      this.effects.push({ kind: "resend", operation: id, afterMs });
      return;
    }
    this.remove([operation]);
    this.effects.push({ kind: "rejected", operation, problem });
  }

  private dispatch(operation: Operation): void {
    operation.state = "sent";
    operation.attempts += 1;
    const frame = frameOf(operation, this.workspace);
    if (JSON.stringify(frame).length > LARGEST_FRAME) this.effects.push({ kind: "write", operation });
    else this.send(frame);
  }

  /** Lets go of the committed operations whose effect the confirmed items now show. */
  private settle(): void {
    const seq = this.position?.seq;
    if (seq === undefined) return;
    this.remove(
      this.operations.filter(
        (operation) =>
          operation.seq !== null && operation.seq <= seq && !this.lists.get(operation.list)?.replica.stale,
      ),
    );
  }

  private remove(gone: Operation[]): void {
    if (gone.length === 0) return;
    this.operations = this.operations.filter((operation) => !gone.includes(operation));
    for (const list of new Set(gone.map((operation) => operation.list))) this.overlay(list);
  }

  private overlay(list: string): void {
    const replica = this.lists.get(list)?.replica;
    replica?.overlay(this.operations.filter((operation) => operation.list === list));
  }

  // ── Presence ──────────────────────────────────────────────────────────────────────────────────

  /** Tells the others where the own person is; only the last of a burst, and again after every return. */
  appear(whereabouts: Whereabouts, now: number): void {
    this.whereabouts = whereabouts;
    this.announce(now);
  }

  /** The moment of a `presence` effect has come. */
  presenceIsDue(now: number): void {
    this.presenceDue = false;
    this.announce(now);
  }

  private announce(now: number): void {
    if (!this.whereabouts || this.currentPhase !== "live" || this.presenceDue) return;
    const wait = this.presenceAt + PRESENCE_EVERY_MS - now;
    if (wait > 0) {
      this.presenceDue = true;
      this.effects.push({ kind: "presence", afterMs: wait });
      return;
    }
    this.presenceAt = now;
    this.send({ type: "presence", workspace: this.workspace, ...this.whereabouts });
  }

  private presence(frame: ServerPresence): void {
    if (frame.workspace !== this.workspace) return;
    if (frame.full) this.others.clear();
    for (const one of frame.users) {
      if (one.state === "left") this.others.delete(one.session);
      else if (one.session !== this.session) this.others.set(one.session, one);
    }
  }

  // ── The socket ────────────────────────────────────────────────────────────────────────────────

  /** Starts, or tries again at once. */
  connect(): void {
    if (this.currentPhase !== "offline") return;
    this.currentPhase = "connecting";
    this.effects.push({ kind: "connect", afterMs: 0, freshToken: false });
  }

  opened(now: number): void {
    this.currentPhase = "greeting";
    this.freshSocket = true;
    this.heard(now);
    this.effects.push({ kind: "hello" });
  }

  closed(code: number): void {
    if (this.currentPhase === "stopped") return;
    const reason = finalReason(code);
    if (reason) return this.stop(reason);
    this.currentPhase = "offline";
    this.others.clear();
    // Also what was acknowledged, but not yet seen in the log: a restored backup may have lost it.
    for (const operation of this.operations) {
      operation.state = "queued";
      operation.seq = null;
    }
    this.effects.push({
      kind: "connect",
      afterMs: delayBeforeAttempt(this.attempt, this.random()),
      freshToken: code === 4001,
    });
    this.attempt += 1;
  }

  /** To be called every second or so: notices a connection that has gone silent. */
  tick(now: number): void {
    if (!this.socketIsOpen()) return;
    const silence = now - this.heardAt;
    if (silence > GIVE_UP_AFTER_MS) this.close(0);
    else if ((silence > ASK_AFTER_MS || this.hasFreshPages(now)) && !this.asked) {
      this.asked = true;
      this.send({ type: "ping", t: now });
    }
  }

  received(frame: ServerFrame, now: number): void {
    if (this.currentPhase === "stopped") return;
    this.heard(now);
    switch (frame.type) {
      case "welcome":
        this.session = frame.session;
        return this.subscribe();
      case "subscribed":
        return this.subscribed(frame, now);
      case "events":
        return this.events(frame, now);
      case "beat":
        return this.beat(frame);
      case "ack":
        return this.acknowledged(frame.op, frame.seq);
      case "reject":
        return this.rejected(frame.op, frame.problem);
      case "reset":
        return this.reset(frame, now);
      case "access":
        return this.access(frame);
      case "pong":
        return this.pong(frame);
      case "presence":
        return this.presence(frame);
      case "job":
        if (frame.workspace === this.workspace) this.effects.push({ kind: "job", job: frame });
        return;
      case "error":
        return this.error(frame);
      case "drain":
        return this.close(frame.after_ms);
    }
  }

  private heard(now: number): void {
    this.heardAt = now;
    this.asked = false;
  }

  private socketIsOpen(): boolean {
    return ["greeting", "subscribing", "live"].includes(this.currentPhase);
  }

  private send(frame: ClientFrame): void {
    this.effects.push({ kind: "send", frame });
  }

  private close(afterMs: number): void {
    this.effects.push({ kind: "close", afterMs });
  }

  private subscribe(): void {
    this.currentPhase = "subscribing";
    this.subscription += 1;
    const { workspace, subscription: id, position } = this;
    const base = { type: "subscribe", id, workspace, lists: "all" } as const;
    this.send(position ? { ...base, since: position } : base);
  }

  /** A socket has one position a workspace and won't go back behind it: leave, then enter where we are. */
  private resubscribe(): void {
    this.send({ type: "unsubscribe", id: this.subscription });
    this.freshSocket = false;
    this.subscribe();
  }

  private subscribed(frame: ServerSubscribed, now: number): void {
    if (!this.socketIsOpen() || frame.id !== this.subscription) return;
    const { seq, mark, audience } = frame;
    const continuous = this.position?.seq === seq && this.position.mark === mark;
    // After a reset that was this subscription's answer, only the audience is news.
    if (this.currentPhase === "live" && !continuous) return;
    this.position = { seq, mark, audience };
    // Pages read before the first subscription are good, unless a connection broke since: who knows why.
    if (!continuous) this.startOver(seq, this.everSubscribed || this.attempt > 0);
    else if (this.freshSocket) this.rereadFreshPages();
    this.enterLive(now);
  }

  private enterLive(now: number): void {
    this.everSubscribed = true;
    this.currentPhase = "live";
    this.attempt = 0;
    for (const operation of this.operations) if (operation.state === "queued") this.dispatch(operation);
    this.announce(now);
    this.settle();
  }

  private events(frame: ServerEvents, now: number): void {
    if (this.currentPhase !== "live" || frame.workspace !== this.workspace || !this.position) return;
    if (frame.after !== this.position.seq) return this.resubscribe();
    for (const event of frame.events) this.apply(event, now);
    this.position = { ...this.position, seq: frame.through, mark: frame.mark };
    this.pagesAreOld();
    this.settle();
  }

  private apply(event: WorkspaceEvent, now: number): void {
    const echoed = this.operations.filter((operation) => operation.id === event.op);
    for (const { replica } of this.lists.values()) replica.apply(event, echoed.length > 0, now);
    this.remove(echoed);
    if (!event.kind.startsWith("items.")) this.effects.push({ kind: "metadata", event: event.kind });
  }

  private beat(frame: ServerBeat): void {
    if (this.currentPhase !== "live" || frame.workspace !== this.workspace || !this.position) return;
    if (frame.through !== this.position.seq || frame.mark !== this.position.mark) this.resubscribe();
    else this.pagesAreOld();
  }

  // A page may be ahead of the log as this client knows it. Should the server come back from a backup of
  // just that moment, the position would still be good, and the page not.

  private hasFreshPages(now: number): boolean {
    const due = ({ readAt, answered }: OpenList) =>
      readAt !== null && !answered && readAt + TOLD_WITHIN_MS <= now;
    return this.currentPhase === "live" && [...this.lists.values()].some(due);
  }

  private pong({ t }: ServerPong): void {
    if (typeof t !== "number") return;
    for (const entry of this.lists.values()) {
      if (entry.readAt !== null && entry.readAt + TOLD_WITHIN_MS <= t) entry.answered = true;
    }
  }

  private pagesAreOld(): void {
    for (const entry of this.lists.values()) if (entry.answered) entry.readAt = null;
  }

  private rereadFreshPages(): void {
    for (const { replica, readAt } of this.lists.values()) if (readAt !== null) replica.invalidate();
  }

  private reset(frame: ServerReset, now: number): void {
    if (frame.workspace !== this.workspace || !this.socketIsOpen()) return;
    this.position = { seq: frame.seq, mark: frame.mark, audience: this.position?.audience ?? "" };
    this.startOver(frame.seq, true);
    if (this.currentPhase === "subscribing" && frame.id === this.subscription) this.enterLive(now);
  }

  /** The log can't be followed from where we stood to `seq`: what is shown is read again from there. */
  private startOver(seq: number, invalidate: boolean): void {
    for (const { replica } of this.lists.values()) {
      replica.followFrom(seq);
      if (invalidate) replica.invalidate();
    }
    this.settle();
  }

  private access(frame: ServerAccess): void {
    if (frame.workspace !== this.workspace) return;
    this.currentRole = frame.role;
    if (frame.role === null) this.stop("removed");
  }

  private error(frame: ServerError): void {
    if (frame.id !== this.subscription || this.currentPhase !== "subscribing") return;
    const { code } = frame.problem;
    if (code === "forbidden" || code === "not_found") return this.stop("removed");
    // Refused on a socket of its own, the position itself is at fault; else a new socket is enough.
    if (this.freshSocket) this.position = null;
    this.close(0);
  }

  private stop(reason: StopReason): void {
    this.currentPhase = "stopped";
    const lost = this.waiting;
    this.remove(this.operations);
    this.close(0);
    this.effects.push({ kind: "stopped", reason, lost });
  }
}
