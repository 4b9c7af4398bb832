/**
 * One list as this client holds it: confirmed items, the client's own unconfirmed operations over them,
 * and the pages still to be read. Pure: no clock, no IO; the session tells it what happened.
 *
 * The items are held in id order, as far as pages have been read (the frontier). A page may be newer than
 * the events that follow it, and events arrive while a page is under way. Both are settled the same way:
 * the changes that arrive during a read are its tail, and a page is merged as page + tail, where a change
 * counts only if its version is above the item's.
 */
import type { ItemChange, Values, Event as WorkspaceEvent } from "./frames";
import type { Item, Page } from "./items";
import { type Operation, touchedItems } from "./operations";

interface Confirmed {
  version: number;
  /** The last change known to have touched it. */
  seq: number;
  values: Values;
  createdAt: string;
  createdBy: string | null;
  updatedAt: string;
  updatedBy: string | null;
}

/** What somebody else changed in a row, and when it was seen: for the flash. */
export interface Touch {
  seq: number;
  at: number;
  keys: ReadonlySet<string>;
}

/** A row as shown. The same object until something in it changes. */
export interface Row extends Readonly<Confirmed> {
  readonly id: string;
  /** Columns whose value waits for the server. */
  readonly pending: ReadonlySet<string>;
  /** The whole row waits for the server. */
  readonly isNew: boolean;
  readonly touch: Touch | null;
}

export interface ReadRequest {
  request: number;
  cursor: string | null;
  limit: number;
  /** A repetition of what is shown already; may be delayed so that a burst of changes costs one. */
  reread: boolean;
}

interface Reading {
  request: number;
  after: string | null;
  tail: { change: ItemChange; event: WorkspaceEvent }[];
}

interface Pass {
  /** Where the next page starts. */
  cursor: string | null;
  /** The last id read; `null` before the first page. */
  after: string | null;
  complete: boolean;
  /** The oldest state that a page of this pass may show. */
  oldestSeq: number | null;
}

export const FIRST_PAGE = 200;
export const NEXT_PAGE = 1000;

const NOTHING: ReadonlySet<string> = new Set();
const START: Readonly<Pass> = { cursor: null, after: null, complete: false, oldestSeq: null };

export class ListReplica {
  private readonly confirmed = new Map<string, Confirmed>();
  private readonly rows = new Map<string, Row>();
  private readonly touches = new Map<string, Touch>();
  private readonly order: string[] = [];
  /** Ids that this client made: shown even beyond the frontier. */
  private readonly own = new Set<string>();
  private operations = new Map<string, Operation[]>();

  private pass: Pass = { ...START };
  private reading: Reading | null = null;
  private requests = 0;
  private frontier: string | null = null;
  private whole = false;
  private behind = false;
  private again = false;
  private rereadUntil: string | null = null;
  private floor = 0;

  constructor(readonly list: string) {}

  /** The rows shown, by ascending id. Changes in place: read it anew after every notification. */
  get ids(): readonly string[] {
    return this.order;
  }

  /** Everything has been read: the end of `ids` is the end of the list. */
  get complete(): boolean {
    return this.whole;
  }

  /** Nothing has been read yet. */
  get blank(): boolean {
    return this.frontier === null && !this.whole;
  }

  get loading(): boolean {
    return this.reading !== null;
  }

  /** What is shown may miss changes and is being read again. */
  get stale(): boolean {
    return this.behind;
  }

  row(id: string): Row | undefined {
    return this.rows.get(id);
  }

  /** Where a row stands; -1 when it isn't shown. */
  indexOf(id: string): number {
    const index = this.firstAtOrAfter(id);
    return this.order[index] === id ? index : -1;
  }

  /** Whether the pages read so far would hold an item of this id. */
  reaches(id: string): boolean {
    return this.whole || (this.frontier !== null && id <= this.frontier);
  }

  // ── Reading ───────────────────────────────────────────────────────────────────────────────────

  /** The read to start now, when at least `wanted` rows should be there; `null` when there is none. */
  nextRead(wanted: number): ReadRequest | null {
    if (this.reading) return null;
    if (!this.behind && (this.pass.complete || this.loadedRows() >= wanted)) return null;
    this.requests += 1;
    this.reading = { request: this.requests, after: this.pass.after, tail: [] };
    const first = this.pass.after === null && !this.behind;
    return {
      request: this.requests,
      cursor: this.pass.cursor,
      limit: first ? FIRST_PAGE : NEXT_PAGE,
      reread: this.behind,
    };
  }

  /** A page has arrived, showing at least the state at `seq`. An answer to a forgotten request is ignored. */
  pageArrived(request: number, page: Page<Item>, seq: number): void {
    const reading = this.reading;
    if (reading?.request !== request) return;
    this.reading = null;
    const last = page.data.at(-1)?.id ?? reading.after;
    const to = page.next_cursor === null ? null : last;
    this.merge(page.data, reading, to, seq);
    this.pass = {
      cursor: page.next_cursor,
      after: last ?? "",
      complete: page.next_cursor === null,
      oldestSeq: Math.min(seq, this.pass.oldestSeq ?? seq),
    };
    if (seq < this.floor) this.invalidateWhileReading();
    if (this.again) this.restartPass();
    else if (!this.behind || this.caughtUp()) this.advanceFrontier();
  }

  /** The read failed; the same one is due again. */
  readFailed(request: number): void {
    if (this.reading?.request === request) this.reading = null;
  }

  /** What is shown can't be trusted any more: read it again, up to where it reaches now. */
  invalidate(): void {
    if (this.reading) this.invalidateWhileReading();
    else if (!this.blank) this.restartPass();
  }

  /** From here on every change after `seq` is heard; what was read from an older state must be read again. */
  followFrom(seq: number): void {
    this.floor = seq;
    if (this.pass.oldestSeq !== null && this.pass.oldestSeq < seq) this.invalidate();
  }

  private invalidateWhileReading(): void {
    this.again = true;
    if (!this.blank) this.behind = true;
  }

  private restartPass(): void {
    this.again = false;
    this.behind = true;
    this.rereadUntil = this.whole ? (this.lastConfirmed() ?? null) : this.frontier;
    this.pass = { ...START };
  }

  private caughtUp(): boolean {
    const { after, complete } = this.pass;
    return complete || this.rereadUntil === null || (after !== null && after >= this.rereadUntil);
  }

  private advanceFrontier(): void {
    const reread = this.behind;
    this.behind = false;
    this.frontier = this.pass.after;
    this.whole = this.pass.complete;
    for (const id of this.confirmed.keys()) {
      if (this.reaches(id)) {
        if (!this.rows.has(id)) this.refresh(id);
      } else if (reread) {
        // Not covered by what was read again, so perhaps no longer true: it comes back with its page.
        this.confirmed.delete(id);
        this.refresh(id);
      }
    }
  }

  private loadedRows(): number {
    return this.whole ? this.order.length : this.firstAfter(this.frontier);
  }

  private lastConfirmed(): string | undefined {
    return this.order.findLast((id) => this.confirmed.has(id));
  }

  /** Replaces the range `(reading.after, to]` by the page and the changes heard since it was asked for. */
  private merge(items: Item[], reading: Reading, to: string | null, seq: number): void {
    const inRange = (id: string) =>
      (reading.after === null || id > reading.after) && (to === null || id <= to);
    const fresh = new Map<string, Confirmed>();
    for (const item of items) fresh.set(item.id, confirmedItem(item));
    for (const { change, event } of reading.tail) {
      if (event.seq > seq && inRange(change.item)) applyChange(fresh, change, event);
    }
    for (const id of this.confirmed.keys()) {
      if (inRange(id) && !fresh.has(id) && this.confirmed.delete(id)) this.refresh(id);
    }
    for (const [id, item] of fresh) {
      this.confirmed.set(id, item);
      this.refresh(id);
    }
  }

  // ── Following ─────────────────────────────────────────────────────────────────────────────────

  /** Applies an event of the log. `mine`: it is the echo of an own operation, which doesn't flash. */
  apply(event: WorkspaceEvent, mine: boolean, now: number): void {
    let nameless = false;
    for (const change of event.changes ?? []) {
      if (change.kind === "erased" || change.list !== this.list) continue;
      this.reading?.tail.push({ change, event });
      const id = change.item;
      const known = this.confirmed.has(id);
      const shows = this.reaches(id) || this.own.has(id);
      if (!known && !shows) continue;
      if (!applyChange(this.confirmed, change, event)) continue;
      nameless ||= isNameless(this.confirmed.get(id)?.values ?? {});
      if (!mine && change.set && this.confirmed.has(id)) {
        this.touches.set(id, { seq: event.seq, at: now, keys: new Set(Object.keys(change.set)) });
      }
      this.refresh(id);
    }
    // An event tells of links without titles: those that are not known yet are read.
    if (nameless || this.mustReread(event)) this.invalidate();
  }

  /** Events that tell of changes without carrying them. */
  private mustReread(event: WorkspaceEvent): boolean {
    const lists = event.lists ?? listsOf(event.data);
    const concerned = lists === null || lists.includes(this.list);
    if (!concerned) return false;
    // What it links to has gone into the trash, or come back.
    if (event.kind === "list.deleted" || event.kind === "list.restored") return true;
    if (event.wide || event.kind === "items.imported" || event.kind === "items.computed") return true;
    // Cells were computed anew, by whatever change of columns or lists.
    if (isObject(event.data) && Array.isArray(event.data.computed)) return true;
    if (event.changes?.some((change) => change.kind === "erased" || !tellsAll(change))) return true;
    return (event.kind === "links.changed" && !event.changes) || event.kind.startsWith("column.");
  }

  // ── Own operations ────────────────────────────────────────────────────────────────────────────

  /** Lays the unconfirmed operations of this list, in order, over the confirmed items. */
  overlay(operations: readonly Operation[]): void {
    const affected = new Set(this.operations.keys());
    this.operations = new Map();
    for (const operation of operations) {
      for (const id of touchedItems(operation.write)) {
        affected.add(id);
        if (operation.write.kind === "create") this.own.add(id);
        const over = this.operations.get(id);
        if (over) over.push(operation);
        else this.operations.set(id, [operation]);
      }
    }
    for (const id of affected) this.refresh(id);
  }

  // ── The rows shown ────────────────────────────────────────────────────────────────────────────

  private refresh(id: string): void {
    const row = this.compose(id);
    const visible = row !== null && (this.reaches(id) || this.own.has(id));
    const shown = this.rows.has(id);
    if (visible) this.rows.set(id, row);
    else this.rows.delete(id);
    if (visible === shown) return;
    const index = this.firstAtOrAfter(id);
    if (visible) this.order.splice(index, 0, id);
    else this.order.splice(index, 1);
  }

  private compose(id: string): Row | null {
    const base = this.confirmed.get(id);
    const over = this.operations.get(id);
    const touch = this.touches.get(id) ?? null;
    if (!over) return base ? { ...base, id, pending: NOTHING, isNew: false, touch } : null;
    let values: Values | null = base?.values ?? null;
    const pending = new Set<string>();
    for (const { write } of over) {
      if (write.kind === "delete") values = null;
      else {
        const written = write.items.find((item) => item.id === id)?.values ?? {};
        if (write.kind === "create") values = values ?? withoutEmpty(written);
        else if (values) {
          values = mergedValues(values, written);
          for (const key of Object.keys(written)) pending.add(key);
        }
      }
    }
    return values && { ...(base ?? UNBORN), id, values, pending, isNew: !base, touch };
  }

  /** The index of the first shown id at or after `id`, by binary search. */
  private firstAtOrAfter(id: string): number {
    let low = 0;
    let high = this.order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.order[middle] as string) < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private firstAfter(id: string | null): number {
    if (id === null) return 0;
    const index = this.firstAtOrAfter(id);
    return this.order[index] === id ? index + 1 : index;
  }
}

const UNBORN: Confirmed = {
  version: 0,
  seq: 0,
  values: {},
  createdAt: "",
  createdBy: null,
  updatedAt: "",
  updatedBy: null,
};

function confirmedItem(item: Item): Confirmed {
  return {
    version: item.version,
    seq: item.seq,
    values: item.values,
    createdAt: item.created_at,
    createdBy: item.created_by,
    updatedAt: item.updated_at,
    updatedBy: item.updated_by,
  };
}

/** Whether a change says what the item holds now. */
function tellsAll(change: ItemChange): boolean {
  return change.kind !== "restored" || change.set !== undefined;
}

/** Applies one change to a map of items, unless the item is as new already; says whether it did. */
function applyChange(items: Map<string, Confirmed>, change: ItemChange, event: WorkspaceEvent): boolean {
  const local = items.get(change.item);
  if (change.kind === "deleted") {
    if (!local || change.version < local.version) return false;
    return items.delete(change.item);
  }
  if (local && change.version <= local.version) return false;
  if (!local && change.kind === "updated") return false;
  const base: Confirmed = local ?? {
    ...UNBORN,
    createdAt: event.at,
    createdBy: event.actor.user ?? event.actor.form ?? null,
  };
  const values = change.kind === "updated" ? mergedValues(base.values, change.set ?? {}) : change.set;
  items.set(change.item, {
    ...base,
    version: change.version,
    seq: event.seq,
    values: change.kind === "updated" ? (values ?? {}) : withoutEmpty(values ?? {}),
    updatedAt: event.at,
    updatedBy: event.actor.user ?? event.actor.form ?? null,
  });
  return true;
}

/** `over` laid on `values`; `null` clears a cell. */
function mergedValues(values: Values, over: Values): Values {
  const merged: Record<string, Values[string]> = { ...values };
  for (const [key, value] of Object.entries(over)) merged[key] = withTitles(value, values[key]);
  return withoutEmpty(merged);
}

/** A cell of links with the titles that the cell before it had. */
function withTitles(value: Values[string], before: Values[string] | undefined): Values[string] {
  if (!Array.isArray(value) || !Array.isArray(before)) return value;
  return value.map((link) => (isUntitled(link) ? (before.find((old) => sameId(old, link)) ?? link) : link));
}

function sameId(a: unknown, b: unknown): boolean {
  return isObject(a) && isObject(b) && a.id === b.id;
}

/** A link as events tell of it. */
function isUntitled(link: unknown): boolean {
  return isObject(link) && "id" in link && Object.keys(link).length === 1;
}

function isNameless(values: Values): boolean {
  return Object.values(values).some((value) => Array.isArray(value) && value.some(isUntitled));
}

/** The lists whose columns an event is about: its own, and those of inverses. */
function listsOf(data: unknown): string[] | null {
  if (!isObject(data)) return null;
  const named = (part: unknown) => (isObject(part) && typeof part.list === "string" ? [part.list] : []);
  const further = [data.inverse, data.hides, data.shows, data.computed].flatMap((part) =>
    Array.isArray(part) ? part.flatMap(named) : named(part),
  );
  const lists = [...named(data), ...further];
  return lists.length > 0 ? lists : null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function withoutEmpty(values: Values): Values {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));
}
