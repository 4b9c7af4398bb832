/**
 * A server in a few lines, for the property tests: one list, one log, one socket, all of it in memory.
 * It is the contract as a model, so it is kept naive: whole-list scans, a log that is never cut.
 */
import type {
  ClientFrame,
  ItemChange,
  Position,
  Problem,
  ServerFrame,
  ServerWelcome,
  Values,
  Event as WorkspaceEvent,
} from "../src/frames";
import type { Item, Page } from "../src/items";
import type { Write } from "../src/operations";

export const WORKSPACE = "w";
export const LIST = "l";
/** Writes of this value are refused. */
export const REFUSED = "refused";

const AT = "2026-01-01T00:00:00Z";

export const problem = (code: string): Problem => ({
  type: `/problems/${code}`,
  title: code,
  status: 422,
  detail: code,
  code,
  request_id: "r",
});

export const welcome: ServerWelcome = {
  type: "welcome",
  session: "s",
  user: "u",
  server_time: AT,
  heartbeat_ms: 25_000,
  limits: { frame_bytes: 65_536, frame_items: 100, subscriptions: 100 },
};

export class ModelServer {
  readonly items = new Map<string, Item>();
  /** Of every item that ever was: a restored one goes on counting. */
  private versions = new Map<string, number>();
  private log: WorkspaceEvent[] = [];
  private marks: string[] = ["0"];
  private done = new Map<string, number>();
  private timeline = 0;
  /** Frames on their way to the client. */
  outbox: ServerFrame[] = [];
  private subscription: number | null = null;
  private position = 0;
  private oldest = 1;
  private audience = "m1";
  /** So many writes more are refused for now. */
  busy = 0;

  get seq(): number {
    return this.log.length;
  }

  get mark(): string {
    return this.marks[this.seq] as string;
  }

  /** The log as a reader would find it, for checking effects. */
  get events(): readonly WorkspaceEvent[] {
    return this.log;
  }

  /** A page of a read that must not show less than `minSeq`; `lag` makes its claimed position older. */
  page(cursor: string | null, limit: number, minSeq: number, lag: number): { page: Page<Item>; seq: number } {
    const rest = this.sorted().filter((item) => cursor === null || item.id > cursor);
    const data = rest.slice(0, limit).map((item) => ({ ...item }));
    const next_cursor = rest.length > limit ? (data.at(-1)?.id ?? null) : null;
    return { page: { data, next_cursor }, seq: Math.max(Math.min(minSeq, this.seq), this.seq - lag) };
  }

  sorted(): Item[] {
    return [...this.items.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Commits a write of somebody, unless it breaks a rule. `wide`: its event tells no values. */
  commit(write: Write, op?: string, wide = false): "refused" | number {
    const changes = this.judge(write);
    if (!changes) return "refused";
    const seq = this.seq + 1;
    for (const change of changes) this.store(change, seq);
    const event: WorkspaceEvent = { seq, at: AT, actor: {}, kind: "items.changed" };
    if (op) event.op = op;
    if (wide) Object.assign(event, { wide: true, lists: [LIST] });
    else event.changes = changes;
    this.append(event);
    if (op) this.done.set(op, seq);
    return seq;
  }

  /** A batch of rows that is in the log but not on the wire. */
  import(items: { id: string; values: Values }[]): void {
    const seq = this.seq + 1;
    for (const { id, values } of items) {
      this.store({ kind: "created", list: LIST, item: id, version: this.versionAfter(id), set: values }, seq);
    }
    this.append({
      seq,
      at: AT,
      actor: {},
      kind: "items.imported",
      data: { list: LIST, count: items.length },
    });
  }

  /** A backup is restored: everything after `seq` never happened, and the log goes on under other marks. */
  restoreBackup(seq: number): void {
    this.timeline += 1;
    const kept = this.log.slice(0, seq);
    this.log = [];
    this.items.clear();
    this.versions.clear();
    for (const event of kept) {
      for (const change of this.changesOf.get(event) ?? []) this.store(change, event.seq);
      this.log.push(event);
    }
    this.oldest = Math.min(this.oldest, seq + 1);
    this.marks = this.marks.slice(0, seq).concat(`${this.timeline}:${seq}`);
    for (const [op, at] of this.done) if (at > seq) this.done.delete(op);
    this.disconnect();
  }

  /** What happened up to `seq` can't be replayed any more. */
  prune(seq: number): void {
    this.oldest = Math.max(this.oldest, seq + 1);
  }

  /** The member may see something else from now on. */
  changeAudience(): void {
    this.audience = this.audience === "m1" ? "a1" : "m1";
    if (this.subscription === null) return;
    const { position: seq, mark } = this;
    this.outbox.push(
      { type: "access", workspace: WORKSPACE, role: "editor" },
      { type: "reset", workspace: WORKSPACE, reason: "changed_audience", seq, mark },
    );
  }

  drain(): void {
    this.outbox.push({ type: "drain", after_ms: 500 });
  }

  /** Whether an operation has taken effect. */
  knows(op: string): boolean {
    return this.done.has(op);
  }

  // ── The socket ────────────────────────────────────────────────────────────────────────────────

  disconnect(): void {
    this.outbox = [];
    this.subscription = null;
  }

  receive(frame: ClientFrame): void {
    switch (frame.type) {
      case "hello":
        this.outbox.push(welcome);
        return;
      case "subscribe":
        return this.subscribe(frame.id, frame.since ?? undefined);
      case "unsubscribe":
        this.subscription = null;
        return;
      case "ping":
        this.outbox.push({ type: "pong", ...(frame.t === undefined ? {} : { t: frame.t }) });
        return;
      case "edit":
      case "create":
        return this.write(frame.op, {
          kind: frame.type,
          items: frame.items.map(({ id, values }) => ({ id: id ?? frame.op, values })),
        });
      case "delete":
        return this.write(frame.op, { kind: "delete", ids: frame.ids });
    }
  }

  beat(): void {
    if (this.subscription === null) return;
    this.outbox.push({ type: "beat", workspace: WORKSPACE, through: this.position, mark: this.mark });
  }

  private subscribe(id: number, since: Position | undefined): void {
    if (since && this.subscription !== null && since.seq < this.position) {
      this.outbox.push({ type: "error", id, problem: problem("conflict") });
      return;
    }
    this.subscription = id;
    const refusal = since && this.refusal(since);
    const known = since && !refusal;
    const seq = known ? since.seq : this.seq;
    const mark = this.marks[seq] as string;
    this.outbox.push({ type: "subscribed", id, workspace: WORKSPACE, seq, mark, audience: this.audience });
    if (refusal) {
      this.outbox.push({ type: "reset", workspace: WORKSPACE, id, reason: refusal, seq, mark });
    }
    this.position = seq;
    this.deliver();
  }

  /** Why a position can't be continued. */
  private refusal({ seq, mark, audience }: Position): string | null {
    if (audience && audience !== this.audience) return "changed_audience";
    if (seq > this.seq) return "future_seq";
    if (seq + 1 < this.oldest) return "too_old";
    return this.marks[seq] === mark ? null : "foreign_mark";
  }

  private deliver(): void {
    if (this.subscription === null || this.position === this.seq) return;
    this.outbox.push({
      type: "events",
      workspace: WORKSPACE,
      after: this.position,
      through: this.seq,
      mark: this.mark,
      events: this.log.slice(this.position),
    });
    this.position = this.seq;
  }

  private write(op: string, write: Write): void {
    const before = this.done.get(op);
    if (before === undefined && this.busy > 0) {
      this.busy -= 1;
      this.outbox.push({ type: "reject", op, problem: problem("unavailable") });
      return;
    }
    const seq = before ?? this.commit(write, op);
    if (seq === "refused") this.outbox.push({ type: "reject", op, problem: problem("validation") });
    else this.outbox.push({ type: "ack", op, seq, items: [] });
  }

  // ── The log ───────────────────────────────────────────────────────────────────────────────────

  /** What an event did, also where the wire doesn't say it. */
  private readonly changesOf = new Map<WorkspaceEvent, ItemChange[]>();
  private undone: ItemChange[] = [];

  private append(event: WorkspaceEvent): void {
    this.changesOf.set(event, this.undone);
    this.undone = [];
    this.log.push(event);
    this.marks[this.seq] = `${this.timeline}:${event.seq}`;
    this.deliver();
  }

  private judge(write: Write): ItemChange[] | null {
    const ids = write.kind === "delete" ? write.ids : write.items.map((item) => item.id);
    const mustExist = write.kind !== "create";
    if (ids.some((id) => this.items.has(id) !== mustExist)) return null;
    if (write.kind === "delete") {
      return ids.map((id) => ({ kind: "deleted", list: LIST, item: id, version: this.versionAfter(id) }));
    }
    const { items } = write;
    if (items.some((item) => Object.values(item.values).includes(REFUSED))) return null;
    const kind = write.kind === "create" ? "created" : "updated";
    return items.map(({ id, values }) => ({
      kind,
      list: LIST,
      item: id,
      version: this.versionAfter(id),
      set: values,
    }));
  }

  private versionAfter(id: string): number {
    return (this.versions.get(id) ?? 0) + 1;
  }

  private store(change: ItemChange, seq: number): void {
    this.undone.push(change);
    const { item: id, version } = change;
    this.versions.set(id, version);
    if (change.kind === "deleted") {
      this.items.delete(id);
      return;
    }
    const local = this.items.get(id);
    const merged = { ...local?.values, ...change.set };
    const values = Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null));
    this.items.set(id, {
      id,
      list_id: LIST,
      version,
      seq,
      values,
      created_at: AT,
      created_by: null,
      updated_at: AT,
      updated_by: null,
    });
  }
}
