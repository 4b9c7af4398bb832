/** What is carried out: sockets, tokens, timers, against a socket of the test's own. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { connect } from "../src";
import type { ClientFrame, ServerFrame } from "../src/frames";
import { problem, welcome } from "./model-server";

class FakeSocket {
  static readonly OPEN = 1;
  static made: FakeSocket[] = [];
  readyState = 0;
  readonly sent: ClientFrame[] = [];
  onopen = () => {};
  onmessage = (_: { data: string }) => {};
  onclose = (_: { code: number }) => {};

  constructor(
    readonly url: string,
    readonly protocol: string,
  ) {
    FakeSocket.made.push(this);
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as ClientFrame);
  }

  close(code = 1000): void {
    if (this.readyState > 1) return;
    this.readyState = 3;
    this.onclose({ code });
  }

  async open(): Promise<void> {
    this.readyState = 1;
    this.onopen();
    await vi.advanceTimersByTimeAsync(0);
  }

  hear(...frames: ServerFrame[]): void {
    for (const frame of frames) this.onmessage({ data: JSON.stringify(frame) });
  }
}

const subscribed = (id: number): ServerFrame => ({
  type: "subscribed",
  id,
  workspace: "w",
  seq: 1,
  mark: "m1",
  audience: "x",
});

const last = () => FakeSocket.made.at(-1) as FakeSocket;
let stop = () => {};
let renewed = (_: string) => {};

/** A connection whose first socket is live. */
async function live() {
  const token = vi.fn(async (fresh: boolean) => (fresh ? "fresh" : "token"));
  const stopped = vi.fn();
  const connection = connect({
    origin: "https://estate.example",
    workspace: "w",
    token,
    stopped,
    onToken: (listener) => {
      renewed = listener;
      return () => {};
    },
  });
  stop = connection.start();
  await vi.advanceTimersByTimeAsync(0);
  await last().open();
  last().hear(welcome, subscribed(1));
  return { connection, token, stopped };
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", FakeSocket);
});

afterEach(() => {
  stop();
  FakeSocket.made = [];
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe("a connection", () => {
  it("offers the subprotocol, and says its token in the first frame, not in the address", async () => {
    const { connection } = await live();
    expect(last()).toMatchObject({ url: "wss://estate.example/api/v1/ws", protocol: "estatebase.v1" });
    expect(last().sent[0]).toMatchObject({ type: "hello", token: "token" });
    expect(connection.phase).toBe("live");
  });

  it("passes on a renewed token in band", async () => {
    await live();
    renewed("newer");
    expect(last().sent.at(-1)).toEqual({ type: "auth", token: "newer" });
  });

  it("gets a fresh token before it returns from an expired one", async () => {
    const { token } = await live();
    last().close(4001);
    await vi.advanceTimersByTimeAsync(15_000);
    expect(FakeSocket.made).toHaveLength(2);
    expect(token).toHaveBeenLastCalledWith(true);
  });

  it.each([4400, 4401, 4403, 4404, 4426])("stays away after %d", async (code) => {
    const { stopped } = await live();
    last().close(code);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(FakeSocket.made).toHaveLength(1);
    expect(stopped).toHaveBeenCalledOnce();
  });

  it("sends what was not answered again, under the same id, on the next socket", async () => {
    const { connection } = await live();
    const op = connection.submit("l", { kind: "edit", items: [{ id: "a", values: { x: 1 } }] });
    expect(last().sent.at(-1)).toMatchObject({ type: "edit", op });
    last().close(1006);
    await vi.advanceTimersByTimeAsync(15_000);
    await last().open();
    last().hear(welcome, subscribed(2));
    expect(FakeSocket.made).toHaveLength(2);
    expect(last().sent.map((frame) => frame.type)).toEqual(["hello", "subscribe", "edit"]);
    expect(last().sent.at(-1)).toMatchObject({ op });
    last().hear({ type: "reject", op, problem: problem("validation") });
    expect(connection.waiting).toBe(0);
  });

  it("leaves a draining server after the delay", async () => {
    await live();
    const draining = last();
    draining.hear({ type: "drain", after_ms: 3_000 });
    await vi.advanceTimersByTimeAsync(2_900);
    expect(draining.readyState).toBe(1);
    await vi.advanceTimersByTimeAsync(200);
    expect(draining.readyState).toBe(3);
    await vi.advanceTimersByTimeAsync(500);
    expect(FakeSocket.made).toHaveLength(2);
  });

  it("doesn't leave the next server when the draining one was faster than its delay", async () => {
    await live();
    last().hear({ type: "drain", after_ms: 3_000 });
    last().close(4000);
    await vi.advanceTimersByTimeAsync(500);
    await last().open();
    last().hear(welcome, subscribed(2));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(FakeSocket.made).toHaveLength(2);
    expect(last().readyState).toBe(1);
  });

  it("is silent for good once it was stopped", async () => {
    await live();
    stop();
    await vi.advanceTimersByTimeAsync(120_000);
    expect(FakeSocket.made).toHaveLength(1);
    expect(last().readyState).toBe(3);
  });
});
