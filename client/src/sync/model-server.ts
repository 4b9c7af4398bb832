/**
 * A server in a few lines, for the property tests: one list, one log, one socket, all of it in memory.
 * It is the contract as a model, so it is kept naive: whole-list scans, a log that is never cut.
 */
import type {
  ClientFrame,
  Item,
  ItemChange,
  Page,
  Position,
  ServerFrame,
  Values,
  WorkspaceEvent,
} from "../api/types";
import type { Write } from "./operations";

export const WORKSPACE = "w";
export const LIST = "l";
/** Writes of this value are refused. */
export const REFUSED = "refused";

const AT = "2026-01-01T00:00:00Z";

export class ModelServer {
  readonly items = new Map<string, Item>();
  private log: WorkspaceEvent[] = [];
  private marks: string[] = ["0"];
  private done = new Map<string, number>();
  private timeline = 0;
  /** Frames on their way to the client. */
  outbox: ServerFrame[] = [];
  private subscription: number | null = null;
  private position = 0;

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
      const version = (this.items.get(id)?.version ?? 0) + 1;
      this.store({ kind: "created", list: LIST, item: id, version, set: values }, seq);
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
    for (const event of kept) {
      for (const change of this.changesOf.get(event) ?? []) this.store(change, event.seq);
      this.log.push(event);
    }
    this.marks = this.marks.slice(0, seq).concat(`${this.timeline}:${seq}`);
    for (const [op, at] of this.done) if (at > seq) this.done.delete(op);
    this.disconnect();
  }

  // ── The socket ────────────────────────────────────────────────────────────────────────────────

  disconnect(): void {
    this.outbox = [];
    this.subscription = null;
  }

  receive(frame: ClientFrame): void {
    switch (frame.type) {
      case "hello":
        this.outbox.push({ type: "welcome", session: "s" });
        return;
      case "subscribe":
        return this.subscribe(frame.id, frame.since);
      case "unsubscribe":
        this.subscription = null;
        return;
      case "ping":
        this.outbox.push({ type: "pong", t: frame.t });
        return;
      case "edit":
      case "create":
        return this.write(frame.op, { kind: frame.type, items: frame.items });
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
      this.outbox.push({ type: "error", id, problem: { code: "validation" } });
      return;
    }
    this.subscription = id;
    const known = since && this.marks[since.seq] === since.mark;
    const seq = known ? since.seq : this.seq;
    const mark = this.marks[seq] as string;
    this.outbox.push({ type: "subscribed", id, workspace: WORKSPACE, seq, mark, audience: "a" });
    if (since && !known) {
      this.outbox.push({ type: "reset", workspace: WORKSPACE, id, reason: "foreign_mark", seq, mark });
    }
    this.position = seq;
    this.deliver();
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
    const seq = before ?? this.commit(write, op);
    if (seq === "refused") this.outbox.push({ type: "reject", op, problem: { code: "validation" } });
    else this.outbox.push({ type: "ack", op, seq });
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
    return (this.items.get(id)?.version ?? 0) + 1;
  }

  private store(change: ItemChange, seq: number): void {
    this.undone.push(change);
    const { item: id, version } = change;
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
