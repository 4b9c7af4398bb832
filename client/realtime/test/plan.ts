/**
 * Random plans: a client and the model server with everything between them under a plan's control. A plan
 * follows from its seed alone, so a seed is all that is needed to see a failure again.
 */
import type { ServerFrame, Values } from "../src/frames";
import type { Write } from "../src/operations";
import { type Effect, WorkspaceSync } from "../src/workspace";
import { LIST, ModelServer, REFUSED, WORKSPACE } from "./model-server";

export type Step =
  | { do: "foreign"; write: Write; wide: boolean }
  | { do: "own"; write: Write }
  | { do: "import"; ids: string[]; value: string }
  | { do: "deliver"; frames: number }
  | { do: "lose" | "double" | "sendAgain" | "beat" | "connect" | "passTime" }
  | { do: "deliverRead" | "failRead" | "scroll" | "audience" | "drain" | "restart" | "rest" }
  | { do: "busy"; writes: number }
  | { do: "cut"; code: number }
  | { do: "serveRead"; lag: number }
  | { do: "prune" | "restoreBackup"; back: number };

type Read = Extract<Effect, { kind: "read" }>;

// ── Seeds ─────────────────────────────────────────────────────────────────────────────────────────

/** Chance from a seed (mulberry32). */
class Dice {
  constructor(private state: number) {}

  /** In [0, 1). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** From 0 to `most`. */
  upTo(most: number): number {
    return Math.floor(this.next() * (most + 1));
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.upTo(choices.length - 1)] as T;
  }

  weighed<T>(choices: readonly (readonly [weight: number, choice: T])[]): T {
    let left = this.next() * choices.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, choice] of choices) {
      left -= weight;
      if (left < 0) return choice;
    }
    return (choices.at(-1) as readonly [number, T])[1];
  }
}

const id = (dice: Dice) => `id-${dice.upTo(11).toString(36)}`;

function values(dice: Dice): Values {
  const value = () =>
    dice.weighed([
      [6, dice.of(["a", "b", "c", "d"])],
      [1, null],
      [1, REFUSED],
    ]);
  const keys = dice.of([["x"], ["y"], ["x", "y"]]);
  return Object.fromEntries(keys.map((key) => [key, value()]));
}

function write(dice: Dice): Write {
  const kind = dice.weighed([
    [5, "edit"],
    [3, "create"],
    [2, "delete"],
  ] as const);
  if (kind === "delete") return { kind, ids: [id(dice)] };
  return { kind, items: [{ id: id(dice), values: values(dice) }] };
}

const STEPS: readonly (readonly [weight: number, make: (dice: Dice) => Step])[] = [
  [6, (dice) => ({ do: "foreign", write: write(dice), wide: false })],
  [1, (dice) => ({ do: "foreign", write: write(dice), wide: true })],
  [5, (dice) => ({ do: "own", write: write(dice) })],
  [1, (dice) => ({ do: "import", ids: [...new Set([id(dice), id(dice)])], value: dice.of(["i", "j"]) })],
  [8, (dice) => ({ do: "deliver", frames: 1 + dice.upTo(3) })],
  [1, () => ({ do: "lose" })],
  [1, () => ({ do: "double" })],
  [1, () => ({ do: "sendAgain" })],
  [1, () => ({ do: "beat" })],
  [3, () => ({ do: "connect" })],
  [2, () => ({ do: "passTime" })],
  [4, (dice) => ({ do: "serveRead", lag: dice.upTo(3) })],
  [4, () => ({ do: "deliverRead" })],
  [1, () => ({ do: "failRead" })],
  [2, () => ({ do: "scroll" })],
  [0.3, () => ({ do: "audience" })],
  [0.3, () => ({ do: "drain" })],
  [0.3, () => ({ do: "restart" })],
  [0.5, (dice) => ({ do: "busy", writes: 1 + dice.upTo(8) })],
  [1, (dice) => ({ do: "cut", code: dice.of([1006, 4000, 4001, 4008, 4009]) })],
  [0.3, (dice) => ({ do: "prune", back: dice.upTo(4) })],
  [0.3, (dice) => ({ do: "restoreBackup", back: dice.upTo(4) })],
  [0.5, () => ({ do: "rest" })],
];

/** The plan of a seed. */
export function planOf(seed: number, length: number): Step[] {
  const dice = new Dice(seed);
  return Array.from({ length }, () => dice.weighed(STEPS)(dice));
}

/** A plan that fails in the same way with as few steps as can be found by leaving some out. */
export function shortened(plan: readonly Step[], fails: (plan: readonly Step[]) => boolean): readonly Step[] {
  let best = plan;
  for (let size = plan.length >> 1; size > 0; size >>= 1) {
    for (let from = 0; from < best.length; ) {
      const less = best.slice(0, from).concat(best.slice(from + size));
      if (fails(less)) best = less;
      else from += size;
    }
  }
  return best;
}

// ── The world ─────────────────────────────────────────────────────────────────────────────────────

export class World {
  readonly server = new ModelServer();
  readonly sync = new WorkspaceSync(WORKSPACE, "editor", () => 0.5);
  readonly replica = this.sync.open(LIST);
  readonly refused: string[] = [];
  submitted = 0;
  restored = false;
  private reads: Read[] = [];
  private served: { read: Read; answer: ReturnType<ModelServer["page"]> }[] = [];
  private resends: string[] = [];
  private lastWrite: (Effect & { kind: "send" })["frame"] | null = null;
  private closing = false;
  private connected = false;
  private now = 0;
  private readonly seen = new Map<string, number>();

  constructor() {
    this.sync.connect();
    this.carryOut();
  }

  perform(step: Step): void {
    const { server } = this;
    switch (step.do) {
      case "foreign":
        server.commit(step.write, undefined, step.wide);
        return;
      case "own":
        return this.own(step.write);
      case "import":
        return server.import(step.ids.map((one) => ({ id: one, values: { x: step.value } })));
      case "deliver":
        return this.deliver(step.frames);
      case "lose":
        return this.disturb(0);
      case "double":
        return this.disturb(2);
      case "sendAgain":
        return this.sendAgain();
      case "beat":
        return server.beat();
      case "connect":
        return this.connect();
      case "passTime":
        return this.passTime(3000);
      case "serveRead":
        return this.serveRead(step.lag);
      case "deliverRead":
        return this.deliverRead();
      case "failRead":
        return this.failRead();
      case "scroll":
        return this.scroll();
      case "audience":
        return server.changeAudience();
      case "drain":
        if (this.connected) server.drain();
        return;
      case "restart":
        return this.cut(1006);
      case "rest":
        return this.rest();
      case "busy":
        server.busy = step.writes;
        return;
      case "cut":
        return this.cut(step.code);
      case "prune":
        return server.prune(Math.max(0, server.seq - step.back));
      case "restoreBackup":
        return this.restoreBackup(Math.max(0, server.seq - step.back));
    }
  }

  /** The first row that went back to an older state than it has shown before, if any. */
  wentBack(): string | null {
    for (const id of this.replica.ids) {
      const { version = 0 } = this.replica.row(id) ?? {};
      // 0: a row of one's own that the server doesn't know yet. What stands beyond the pages read is provisional.
      if (!this.replica.reaches(id)) continue;
      if (version > 0 && version < (this.seen.get(id) ?? 0)) return id;
      if (version > 0) this.seen.set(id, version);
    }
    return null;
  }

  /** Lets everything under way arrive. */
  rest(): void {
    this.server.busy = 0;
    for (let round = 0; round < 600; round += 1) {
      this.connect();
      this.passTime(0);
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

  scroll(): void {
    this.sync.want(LIST, this.replica.ids.length + 1);
    this.carryOut();
  }

  shown(): { id: string; values: unknown }[] {
    return this.replica.ids.map((one) => ({ id: one, values: this.replica.row(one)?.values }));
  }

  private own(write: Write): void {
    this.submitted += 1;
    this.sync.submit(`op-${this.submitted}`, LIST, write);
    this.carryOut();
  }

  private connect(): void {
    if (this.connected) return;
    this.connected = true;
    this.sync.opened(this.now);
    this.carryOut();
  }

  /** Breaks the connection, or the attempt to make one. */
  private cut(code: number): void {
    this.connected = false;
    this.closing = false;
    this.server.disconnect();
    this.sync.closed(code);
    this.carryOut();
  }

  private deliver(frames: number): void {
    for (let left = frames; left > 0; left -= 1) {
      const frame = this.server.outbox.shift();
      if (!frame) return;
      // Frames are values: what the client does to one must not reach the server.
      this.sync.received(structuredClone(frame), this.now);
      this.carryOut();
    }
  }

  /** The first frame of the log on its way arrives never, or twice. */
  private disturb(times: 0 | 2): void {
    const { outbox } = this.server;
    const index = outbox.findIndex((frame) => DISTURBED.includes(frame.type));
    const frame = outbox[index];
    if (frame) outbox.splice(index, 1, ...Array.from({ length: times }, () => frame));
  }

  /** A write that has taken effect arrives once more. */
  private sendAgain(): void {
    const frame = this.lastWrite;
    if (this.connected && frame && "op" in frame && this.server.knows(frame.op)) this.server.receive(frame);
  }

  /** What was to be done later is done. */
  private passTime(ms: number): void {
    this.now += ms;
    if (this.closing) this.cut(1000);
    for (const operation of this.resends.splice(0)) this.sync.resend(operation);
    if (ms > 0) this.sync.tick(this.now);
    this.carryOut();
  }

  private serveRead(lag: number): void {
    const read = this.reads.shift();
    if (!read) return;
    const { cursor } = read.read;
    // Short pages, so that few items already make many of them.
    const answer = this.server.page(cursor, 3, read.minSeq ?? 0, lag);
    this.served.push({ read, answer: structuredClone(answer) });
  }

  private deliverRead(): void {
    const served = this.served.shift();
    if (!served) return;
    this.sync.pageArrived(LIST, served.read.read.request, served.answer.page, served.answer.seq, this.now);
    this.carryOut();
  }

  private failRead(): void {
    const read = this.reads.shift();
    if (!read) return;
    this.sync.readFailed(LIST, read.read.request);
    this.carryOut();
  }

  private restoreBackup(seq: number): void {
    this.restored = true;
    this.seen.clear();
    this.server.restoreBackup(seq);
    this.cut(1006);
    // The server was stopped for it: what was being read is not answered.
    for (const { read } of this.served.splice(0)) this.sync.readFailed(LIST, read.read.request);
    this.carryOut();
  }

  private quiet(): boolean {
    const { outbox } = this.server;
    return this.sync.phase === "live" && outbox.length + this.reads.length + this.resends.length === 0;
  }

  private carryOut(): void {
    for (const effect of this.sync.drain()) {
      if (effect.kind === "hello") this.server.receive({ type: "hello", token: "t", client: "c" });
      else if (effect.kind === "send") this.transmit(effect.frame);
      else if (effect.kind === "read") this.reads.push(effect);
      else if (effect.kind === "resend") this.resends.push(effect.operation);
      else if (effect.kind === "rejected") this.refused.push(effect.operation.id);
      else if (effect.kind === "close" && effect.afterMs > 0) this.closing = true;
      else if (effect.kind === "close") this.cut(1000);
    }
  }

  private transmit(frame: (Effect & { kind: "send" })["frame"]): void {
    if ("op" in frame) this.lastWrite = structuredClone(frame);
    this.server.receive(structuredClone(frame));
  }
}

const DISTURBED: readonly ServerFrame["type"][] = ["events", "beat"];
