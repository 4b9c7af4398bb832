/** The promise of the sync store: whatever is lost, late or refused, at rest it shows what the server has. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LIST, ModelServer, REFUSED, WORKSPACE } from "./model-server";
import type { Write } from "./operations";
import { type Effect, WorkspaceSync } from "./workspace";

type Step =
  | { do: "foreign"; write: Write; wide: boolean }
  | { do: "own"; write: Write }
  | { do: "import"; ids: string[]; value: string }
  | { do: "deliver"; frames: number }
  | { do: "lose" }
  | { do: "beat" }
  | { do: "cut"; code: number }
  | { do: "connect" }
  | { do: "serveRead"; lag: number }
  | { do: "deliverRead" }
  | { do: "failRead" }
  | { do: "scroll" }
  | { do: "restoreBackup"; back: number };

type Read = Extract<Effect, { kind: "read" }>;

/** A client and the model server with everything between them under the test's control. */
class World {
  readonly server = new ModelServer();
  readonly sync = new WorkspaceSync(WORKSPACE, "editor", () => 0.5);
  readonly replica = this.sync.open(LIST);
  readonly refused: string[] = [];
  private reads: Read[] = [];
  private served: { read: Read; answer: ReturnType<ModelServer["page"]> }[] = [];
  private connected = false;
  private now = 0;
  private ops = 0;

  constructor() {
    this.sync.connect();
    this.carryOut();
  }

  own(write: Write): void {
    this.ops += 1;
    this.sync.submit(`op-${this.ops}`, LIST, write);
    this.carryOut();
  }

  connect(): void {
    if (this.connected) return;
    this.connected = true;
    this.sync.opened(this.now);
    this.carryOut();
  }

  /** Breaks the connection, or the attempt to make one. */
  cut(code: number): void {
    this.connected = false;
    this.server.disconnect();
    this.sync.closed(code);
    this.carryOut();
  }

  deliver(frames: number): void {
    for (let left = frames; left > 0; left -= 1) {
      const frame = this.server.outbox.shift();
      if (!frame) return;
      // Frames are values: what the client does to one must not reach the server.
      this.sync.received(structuredClone(frame), this.now);
      this.carryOut();
    }
  }

  /** A proxy swallows one frame of the log. */
  lose(): void {
    const index = this.server.outbox.findIndex((frame) => frame.type === "events" || frame.type === "beat");
    if (index >= 0) this.server.outbox.splice(index, 1);
  }

  serveRead(lag: number): void {
    const read = this.reads.shift();
    if (!read) return;
    const { cursor } = read.read;
    // Short pages, so that few items already make many of them.
    const answer = this.server.page(cursor, 3, read.minSeq ?? 0, lag);
    this.served.push({ read, answer: structuredClone(answer) });
  }

  deliverRead(): void {
    const served = this.served.shift();
    if (!served) return;
    this.sync.pageArrived(LIST, served.read.read.request, served.answer.page, served.answer.seq);
    this.carryOut();
  }

  failRead(): void {
    const read = this.reads.shift();
    if (!read) return;
    this.sync.readFailed(LIST, read.read.request);
    this.carryOut();
  }

  restoreBackup(seq: number): void {
    this.server.restoreBackup(seq);
    this.cut(1006);
    // The server was stopped for it: what was being read is not answered.
    while (this.served.length > 0) this.sync.readFailed(LIST, this.served.shift()?.read.read.request ?? 0);
    this.carryOut();
  }

  scroll(): void {
    this.sync.want(LIST, this.replica.ids.length + 1);
    this.carryOut();
  }

  /** Lets everything under way arrive. */
  rest(): void {
    for (let round = 0; round < 400; round += 1) {
      this.connect();
      if (round > 0 && round % 50 === 0) this.server.beat();
      if (this.server.outbox.length > 0) this.deliver(1);
      else if (this.served.length > 0) this.deliverRead();
      else if (this.reads.length > 0) this.serveRead(0);
      else {
        this.server.beat();
        this.deliver(1);
        if (this.quiet()) return;
      }
    }
    throw new Error("it doesn't come to rest");
  }

  private quiet(): boolean {
    return this.sync.phase === "live" && this.server.outbox.length === 0 && this.reads.length === 0;
  }

  shown(): { id: string; values: unknown }[] {
    return this.replica.ids.map((id) => ({ id, values: this.replica.row(id)?.values }));
  }

  private carryOut(): void {
    for (const effect of this.sync.drain()) {
      if (effect.kind === "hello") this.server.receive({ type: "hello", token: "t", client: "c" });
      else if (effect.kind === "send") this.server.receive(structuredClone(effect.frame));
      else if (effect.kind === "read") this.reads.push(effect);
      else if (effect.kind === "rejected") this.refused.push(effect.operation.id);
      else if (effect.kind === "close") this.cut(1000);
    }
  }
}

const id = fc.integer({ min: 0, max: 11 }).map((n) => `id-${n.toString(36)}`);
const value = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("a", "b", "c", "d") },
  fc.constantFrom(null, REFUSED),
);
const values = fc.dictionary(fc.constantFrom("x", "y"), value, { minKeys: 1 });
const item = fc.record({ id, values });
const write: fc.Arbitrary<Write> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant("edit" as const), items: item.map((one) => [one]) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("create" as const), items: item.map((one) => [one]) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), ids: id.map((one) => [one]) }) },
);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("foreign" as const), write, wide: fc.constant(false) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("foreign" as const), write, wide: fc.constant(true) }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("own" as const), write }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("import" as const),
      ids: fc.uniqueArray(id, { minLength: 1, maxLength: 3 }),
      value: fc.constantFrom("i", "j"),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("deliver" as const), frames: fc.integer({ min: 1, max: 4 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "lose" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "beat" as const }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("cut" as const), code: fc.constantFrom(1006, 4000, 4008) }),
  },
  { weight: 3, arbitrary: fc.constant({ do: "connect" as const }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("serveRead" as const), lag: fc.integer({ min: 0, max: 3 }) }),
  },
  { weight: 4, arbitrary: fc.constant({ do: "deliverRead" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "failRead" as const }) },
  { weight: 2, arbitrary: fc.constant({ do: "scroll" as const }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("restoreBackup" as const), back: fc.integer({ min: 0, max: 4 }) }),
  },
);

function perform(world: World, step: Step): void {
  switch (step.do) {
    case "foreign":
      world.server.commit(step.write, undefined, step.wide);
      return;
    case "own":
      return world.own(step.write);
    case "import":
      return world.server.import(step.ids.map((one) => ({ id: one, values: { x: step.value } })));
    case "deliver":
      return world.deliver(step.frames);
    case "lose":
      return world.lose();
    case "beat":
      return world.server.beat();
    case "cut":
      return world.cut(step.code);
    case "connect":
      return world.connect();
    case "serveRead":
      return world.serveRead(step.lag);
    case "deliverRead":
      return world.deliverRead();
    case "failRead":
      return world.failRead();
    case "scroll":
      return world.scroll();
    case "restoreBackup":
      return world.restoreBackup(Math.max(0, world.server.seq - step.back));
  }
}

function expectTruth(world: World): void {
  expect(world.sync.waiting).toBe(0);
  expect(world.sync.seq).toBe(world.server.seq);
  const all = world.server.sorted().map(({ id, values }) => ({ id, values }));
  const shown = world.shown();
  if (world.replica.complete) return expect(shown).toEqual(all);
  // Beyond the frontier only own new rows are shown; up to it, everything is.
  const byId = new Map(all.map((one) => [one.id, one]));
  for (const row of shown) expect(row).toEqual(byId.get(row.id));
  const loaded = all.filter((one) => world.replica.reaches(one.id));
  expect(shown.filter((row) => world.replica.reaches(row.id))).toEqual(loaded);
}

describe("convergence", () => {
  it("shows what the server has whenever everything has come to rest", () => {
    fc.assert(
      fc.property(fc.array(fc.array(step, { maxLength: 40 }), { minLength: 1, maxLength: 3 }), (chapters) => {
        const world = new World();
        for (const steps of chapters) {
          for (const one of steps) perform(world, one);
          world.rest();
          expectTruth(world);
        }
        // Read to the very end, nothing is missing either.
        for (let n = 0; n < 12 && !world.replica.complete; n += 1) {
          world.scroll();
          world.rest();
        }
        expect(world.replica.complete).toBe(true);
        expectTruth(world);
      }),
      { numRuns: 2000 },
    );
  }, 60_000);

  it("lets every own write take effect at most once, and every unrefused one exactly once", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const world = new World();
        for (const one of steps) if (one.do !== "restoreBackup") perform(world, one);
        world.rest();
        const effects = world.server.events.flatMap((event) => event.op ?? []);
        expect(new Set(effects).size).toBe(effects.length);
        const submitted = steps.filter((one) => one.do === "own").length;
        expect(effects.length + world.refused.length).toBe(submitted);
      }),
      { numRuns: 500 },
    );
  }, 60_000);
});
