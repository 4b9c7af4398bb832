/** The rules of the conversation with the server, one by one. */
import { describe, expect, it } from "vitest";
import type { ServerFrame, Values, Event as WorkspaceEvent } from "../src/frames";
import type { Item } from "../src/items";
import { delayBeforeAttempt, finalReason } from "../src/reconnect";
import { type Effect, WorkspaceSync } from "../src/workspace";
import { problem, welcome } from "./model-server";

const LIST = "list";

function item(id: string, values: Values, version = 1): Item {
  const at = "2026-01-01T00:00:00Z";
  const record = { created_at: at, created_by: null, updated_at: at, updated_by: null };
  return { id, list_id: LIST, version, seq: 0, values, ...record };
}

function updated(seq: number, id: string, version: number, set: Values, op?: string): WorkspaceEvent {
  const changes = [{ kind: "updated" as const, list: LIST, item: id, version, set }];
  const event = { seq, at: "2026-01-02T00:00:00Z", actor: { user: "u" }, kind: "items.changed", changes };
  return op ? { ...event, op } : event;
}

const events = (after: number, through: number, ...list: WorkspaceEvent[]): ServerFrame => ({
  type: "events",
  workspace: "w",
  after,
  through,
  mark: `m${through}`,
  events: list,
});

/** A live session at seq 10 with one page of two items, `a` and `b`. */
function live() {
  const sync = new WorkspaceSync("w", "editor", () => 0);
  const replica = sync.open(LIST);
  sync.connect();
  sync.opened(0);
  sync.received(welcome, 0);
  sync.received({ type: "subscribed", id: 1, workspace: "w", seq: 10, mark: "m10", audience: "x" }, 0);
  sync.drain();
  sync.pageArrived(LIST, 1, { data: [item("a", { x: 1 }), item("b", { x: 2 })], next_cursor: null }, 10, 0);
  sync.drain();
  return { sync, replica, receive: (frame: ServerFrame) => sync.received(frame, 0) };
}

const kinds = (effects: Effect[]) => effects.map((effect) => effect.kind);
const frames = (effects: Effect[]) =>
  effects.flatMap((effect) => (effect.kind === "send" ? [effect.frame] : []));

describe("own edits", () => {
  it("show at once, are sent, and stay when the echo comes", () => {
    const { sync, replica, receive } = live();
    sync.submit("op", LIST, { kind: "edit", items: [{ id: "a", values: { x: 5 } }] });
    expect(replica.row("a")?.values).toEqual({ x: 5 });
    expect([...(replica.row("a")?.pending ?? [])]).toEqual(["x"]);
    expect(frames(sync.drain())).toMatchObject([{ type: "edit", op: "op" }]);

    receive(events(10, 11, updated(11, "a", 2, { x: 5 }, "op")));
    expect(replica.row("a")).toMatchObject({ values: { x: 5 }, version: 2, touch: null });
    expect(replica.row("a")?.pending.size).toBe(0);
  });

  it("stay over what others wrote before them, and give way to what came after", () => {
    const { sync, replica, receive } = live();
    sync.submit("op", LIST, { kind: "edit", items: [{ id: "a", values: { x: 5 } }] });
    receive({ type: "ack", op: "op", seq: 12, items: [] });
    receive(events(10, 11, updated(11, "a", 2, { x: 7, y: 1 })));
    expect(replica.row("a")?.values).toEqual({ x: 5, y: 1 });
    receive(events(11, 13, updated(12, "a", 3, { x: 5 }, "op"), updated(13, "a", 4, { x: 9 })));
    expect(replica.row("a")?.values).toEqual({ x: 9, y: 1 });
  });

  it("are rolled back when they are refused", () => {
    const { sync, replica, receive } = live();
    sync.submit("op", LIST, { kind: "edit", items: [{ id: "a", values: { x: 5 } }] });
    sync.drain();
    receive({ type: "reject", op: "op", problem: problem("validation") });
    expect(replica.row("a")?.values).toEqual({ x: 1 });
    expect(kinds(sync.drain())).toEqual(["rejected"]);
  });

  it("are tried again when the refusal was for now, but not for ever", () => {
    const { sync, replica, receive } = live();
    sync.submit("op", LIST, { kind: "delete", ids: ["a"] });
    sync.drain();
    for (let n = 1; n < 6; n += 1) {
      receive({ type: "reject", op: "op", problem: problem("unavailable") });
      expect(kinds(sync.drain())).toEqual(["resend"]);
      sync.resend("op");
      expect(frames(sync.drain())).toMatchObject([{ type: "delete", op: "op" }]);
    }
    receive({ type: "reject", op: "op", problem: problem("unavailable") });
    expect(kinds(sync.drain())).toEqual(["rejected"]);
    expect(replica.ids).toEqual(["a", "b"]);
  });

  it("made offline are sent under the same id after the return", () => {
    const { sync, replica, receive } = live();
    sync.submit("sent", LIST, { kind: "edit", items: [{ id: "a", values: { x: 5 } }] });
    sync.closed(1006);
    sync.submit("late", LIST, { kind: "create", items: [{ id: "c", values: { x: 3 } }] });
    expect(replica.ids).toEqual(["a", "b", "c"]);
    expect(sync.waiting).toBe(2);
    sync.drain();
    sync.opened(0);
    receive(welcome);
    expect(frames(sync.drain())).toMatchObject([{ type: "subscribe", since: { seq: 10, mark: "m10" } }]);
    receive({ type: "subscribed", id: 2, workspace: "w", seq: 10, mark: "m10", audience: "x" });
    expect(frames(sync.drain())).toMatchObject([{ op: "sent" }, { op: "late" }]);
  });

  it("that were acknowledged but not seen in the log are sent again after a break, under the same id", () => {
    const { sync, receive } = live();
    sync.submit("op", LIST, { kind: "edit", items: [{ id: "a", values: { x: 5 } }] });
    receive({ type: "ack", op: "op", seq: 12, items: [] });
    sync.closed(1006);
    sync.drain();
    sync.opened(0);
    receive(welcome);
    receive({ type: "subscribed", id: 2, workspace: "w", seq: 10, mark: "m10", audience: "x" });
    expect(frames(sync.drain())).toMatchObject([{ type: "subscribe" }, { type: "edit", op: "op" }]);
  });

  it("too large for a frame go over REST", () => {
    const { sync } = live();
    sync.submit("op", LIST, { kind: "edit", items: [{ id: "a", values: { x: "x".repeat(70_000) } }] });
    expect(kinds(sync.drain())).toEqual(["write"]);
  });
});

describe("the log", () => {
  it("flashes what others changed", () => {
    const { replica, receive } = live();
    receive(events(10, 11, updated(11, "a", 2, { x: 4 })));
    expect([...(replica.row("a")?.touch?.keys ?? [])]).toEqual(["x"]);
  });

  it("doesn't apply a change that a page has shown already", () => {
    const { replica, receive } = live();
    receive(events(10, 11, updated(11, "a", 1, { x: 99 })));
    expect(replica.row("a")?.values).toEqual({ x: 1 });
  });

  it.each<[string, ServerFrame]>([
    ["events", events(11, 12, updated(12, "a", 3, { x: 4 }))],
    ["a beat", { type: "beat", workspace: "w", through: 12, mark: "m12" }],
    ["another mark", { type: "beat", workspace: "w", through: 10, mark: "other" }],
  ])("asks again from its position when %s reveals a hole", (_, frame) => {
    const { sync, replica, receive } = live();
    receive(frame);
    expect(replica.row("a")?.values).toEqual({ x: 1 });
    expect(frames(sync.drain())).toMatchObject([
      { type: "unsubscribe", id: 1 },
      { type: "subscribe", id: 2, since: { seq: 10, mark: "m10", audience: "x" } },
    ]);
  });

  it("reads again after a reset, and drops what is gone", () => {
    const { sync, replica, receive } = live();
    receive({ type: "reset", workspace: "w", reason: "too_old", seq: 50, mark: "m50" });
    expect(sync.drain()).toMatchObject([
      { kind: "read", minSeq: 50, read: { request: 2, cursor: null, reread: true } },
    ]);
    expect(replica.ids).toEqual(["a", "b"]);
    sync.pageArrived(LIST, 2, { data: [item("b", { x: 3 }, 9)], next_cursor: null }, 50, 0);
    expect(replica.ids).toEqual(["b"]);
    expect(replica.row("b")?.values).toEqual({ x: 3 });
    expect(replica.stale).toBe(false);
  });

  it("reads again what an erased change may have touched", () => {
    const { sync, receive } = live();
    const event = { seq: 11, at: "2026-01-02T00:00:00Z", actor: {}, kind: "items.changed" };
    receive(events(10, 11, { ...event, changes: [{ kind: "erased" }] }));
    expect(sync.drain()).toMatchObject([{ kind: "read", read: { reread: true } }]);
  });

  it("reads again, after a break, pages that the log had not yet confirmed", () => {
    const comeBack = (settled: boolean) => {
      const { sync, receive } = live();
      sync.tick(2_500);
      expect(frames(sync.drain())).toEqual([{ type: "ping", t: 2_500 }]);
      receive({ type: "pong", t: 2_500 });
      if (settled) receive({ type: "beat", workspace: "w", through: 10, mark: "m10" });
      sync.closed(1006);
      sync.opened(0);
      receive(welcome);
      receive({ type: "subscribed", id: 2, workspace: "w", seq: 10, mark: "m10", audience: "x" });
      return kinds(sync.drain());
    };
    expect(comeBack(false)).toContain("read");
    expect(comeBack(true)).not.toContain("read");
  });

  it("keeps what arrives while a page is under way", () => {
    const { sync, replica, receive } = live();
    receive({ type: "reset", workspace: "w", reason: "too_old", seq: 50, mark: "m50" });
    sync.drain();
    receive(events(50, 51, updated(51, "b", 10, { y: 1 })));
    sync.pageArrived(LIST, 2, { data: [item("b", { x: 3 }, 9)], next_cursor: null }, 50, 0);
    expect(replica.row("b")?.values).toEqual({ x: 3, y: 1 });
  });
});

describe("the connection", () => {
  it("asks after 10 s of silence and gives up after 18", () => {
    const { sync, receive } = live();
    receive({ type: "pong", t: 2_000 });
    sync.tick(9_000);
    expect(sync.drain()).toEqual([]);
    sync.tick(10_500);
    sync.tick(11_500);
    expect(frames(sync.drain())).toEqual([{ type: "ping", t: 10_500 }]);
    sync.tick(18_500);
    expect(kinds(sync.drain())).toEqual(["close"]);
  });

  it("follows the role, and ends when it is taken away", () => {
    const { sync, receive } = live();
    receive({ type: "access", workspace: "w", role: "viewer" });
    expect(sync.role).toBe("viewer");
    receive({ type: "access", workspace: "w", role: null });
    expect(kinds(sync.drain())).toContain("stopped");
    sync.closed(1006);
    expect(sync.drain()).toEqual([]);
  });

  it.each([4400, 4401, 4403, 4404, 4426])("doesn't come back after %d", (code) => {
    const { sync } = live();
    sync.closed(code);
    expect(kinds(sync.drain())).toEqual(["close", "stopped"]);
  });

  it.each([1006, 4000, 4001, 4008, 4009])("comes back after %d", (code) => {
    const { sync } = live();
    sync.closed(code);
    expect(sync.drain()).toMatchObject([{ kind: "connect", freshToken: code === 4001 }]);
    expect(finalReason(code)).toBeNull();
  });

  it("waits between 0.2 and 15 s, longer each time", () => {
    for (let attempt = 0; attempt < 40; attempt += 1) {
      expect(delayBeforeAttempt(attempt, 0)).toBe(200);
      expect(delayBeforeAttempt(attempt, 0.999)).toBeLessThanOrEqual(15_000);
    }
    expect(delayBeforeAttempt(0, 0.999)).toBeLessThanOrEqual(400);
    expect(delayBeforeAttempt(20, 0.999)).toBeGreaterThan(14_000);
  });
});

describe("presence", () => {
  const here = { list: LIST, state: "viewing" } as const;
  const somebody = (session: string, state: "viewing" | "left" = "viewing") => ({
    user: "u2",
    session,
    name: "Ada",
    list: LIST,
    state,
  });

  it("shows who else is here: all at first, then who comes and goes", () => {
    const { sync, receive } = live();
    const told = { type: "presence", workspace: "w", seq: 10 } as const;
    receive({ ...told, users: [somebody("1"), somebody("s")], full: true });
    expect(sync.present.map((one) => one.session)).toEqual(["1"]);
    receive({ ...told, users: [somebody("2"), somebody("1", "left")] });
    expect(sync.present.map((one) => one.session)).toEqual(["2"]);
    sync.closed(1006);
    expect(sync.present).toEqual([]);
  });

  it("tells the own place, of a burst only the last, and again after a return", () => {
    const { sync, receive } = live();
    sync.appear(here, 1000);
    sync.appear({ ...here, item: "a" }, 1010);
    sync.appear({ ...here, item: "b" }, 1020);
    expect(sync.drain()).toMatchObject([
      { kind: "send", frame: { type: "presence", workspace: "w", list: LIST } },
      { kind: "presence", afterMs: 140 },
    ]);
    sync.presenceIsDue(1150);
    expect(frames(sync.drain())).toMatchObject([{ type: "presence", item: "b" }]);
    sync.closed(1006);
    sync.appear(here, 2000);
    expect(frames(sync.drain())).toEqual([]);
    sync.opened(0);
    receive(welcome);
    sync.drain();
    sync.received({ type: "subscribed", id: 2, workspace: "w", seq: 10, mark: "m10", audience: "x" }, 3000);
    expect(frames(sync.drain())).toMatchObject([{ type: "presence", list: LIST, state: "viewing" }]);
  });
});
