/**
 * Two people's connections at a running server: what one writes the other shows, what is refused is taken
 * back, and who was away catches up.
 *
 *   SERVER_URL=http://127.0.0.1:8080 npm run e2e:realtime
 */
import { connect, type WorkspaceConnection } from "@estatebase/realtime";
import { afterEach, expect, it, vi } from "vitest";

declare const process: { env: Record<string, string | undefined> };

const origin = process.env.SERVER_URL ?? "http://127.0.0.1:8080";
const stops: (() => void)[] = [];

afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

async function call<T>(path: string, body: unknown, token?: string): Promise<T> {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (token) headers.authorization = `Bearer ${token}`;
  const answer = await fetch(origin + path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`);
  return (await answer.json()) as T;
}

async function person(): Promise<string> {
  const credentials = { email: `${crypto.randomUUID()}@example.com`, password: "correct horse battery" };
  return (await call<{ access_token: string }>("/auth/v1/signup", credentials)).access_token;
}

/** A workspace with one list, and how to connect to it. */
async function ground() {
  const token = await person();
  const { id: workspace } = await call<{ id: string }>("/api/v1/workspaces", { name: "Oak Street" }, token);
  const columns = [
    { key: "City", type: "text" },
    { key: "Price", type: "number" },
  ];
  const path = `/api/v1/workspaces/${workspace}/lists`;
  const { id: list } = await call<{ id: string }>(path, { name: "Homes", columns }, token);
  const open = () => {
    const rejected = vi.fn();
    const connection = connect({ origin, workspace, token: async () => token, rejected });
    const rows = connection.open(list);
    stops.push(connection.start());
    return { connection, rows, rejected };
  };
  return { list, open };
}

const live = (connection: WorkspaceConnection) =>
  vi.waitFor(() => expect(connection.phase).toBe("live"), 5000);

it("shows one person's writes to the other, and takes back what was refused", async () => {
  const { list, open } = await ground();
  const [one, two] = [open(), open()];
  await Promise.all([live(one.connection), live(two.connection)]);

  const id = crypto.randomUUID();
  one.connection.submit(list, { kind: "create", items: [{ id, values: { City: "Sacramento", Price: 1 } }] });
  expect(one.rows.row(id)?.values).toEqual({ City: "Sacramento", Price: 1 });
  await vi.waitFor(() => expect(two.rows.row(id)?.values.City).toBe("Sacramento"), 5000);

  for (let n = 0; n < 50; n += 1) {
    for (const { connection } of [one, two]) {
      connection.submit(list, { kind: "edit", items: [{ id, values: { Price: n, City: `C${n}` } }] });
    }
  }
  await vi.waitFor(() => {
    expect(one.connection.waiting + two.connection.waiting).toBe(0);
    expect(one.rows.row(id)).toMatchObject({ version: 101 });
    expect(two.rows.row(id)).toMatchObject({ version: 101 });
  }, 10_000);
  expect(one.rows.row(id)?.values).toEqual(two.rows.row(id)?.values);

  const stands = one.rows.row(id)?.values;
  one.connection.submit(list, { kind: "edit", items: [{ id, values: { Price: "dear" } }] });
  expect(one.rows.row(id)?.values.Price).toBe("dear");
  await vi.waitFor(() => expect(one.rejected).toHaveBeenCalledOnce(), 5000);
  expect(one.rows.row(id)?.values).toEqual(stands);
});

it("catches up after a break, and sends what was written meanwhile", async () => {
  const sockets: WebSocket[] = [];
  class Recorded extends WebSocket {
    constructor(url: string, protocol: string) {
      super(url, protocol);
      sockets.push(this);
    }
  }
  vi.stubGlobal("WebSocket", Recorded);
  const { list, open } = await ground();
  const [one, two] = [open(), open()];
  await Promise.all([live(one.connection), live(two.connection)]);
  const [mine, theirs] = [crypto.randomUUID(), crypto.randomUUID()];

  sockets[0]?.close();
  await vi.waitFor(() => expect(one.connection.phase).not.toBe("live"), 5000);
  one.connection.submit(list, { kind: "create", items: [{ id: mine, values: { City: "Davis" } }] });
  two.connection.submit(list, { kind: "create", items: [{ id: theirs, values: { City: "Chico" } }] });
  for (const { rows } of [one, two]) {
    await vi.waitFor(() => {
      expect(rows.row(mine)).toMatchObject({ version: 1, values: { City: "Davis" } });
      expect(rows.row(theirs)).toMatchObject({ version: 1, values: { City: "Chico" } });
    }, 10_000);
  }
  expect(sockets).toHaveLength(3);
  vi.unstubAllGlobals();
});

it("writes over REST what is too large for a frame", async () => {
  const { list, open } = await ground();
  const { connection, rows } = open();
  await live(connection);
  const items = Array.from({ length: 300 }, (_, n) => ({
    id: crypto.randomUUID(),
    values: { City: "x".repeat(300), Price: n },
  }));
  connection.submit(list, { kind: "create", items });
  connection.want(list, 300);
  await vi.waitFor(() => expect(connection.waiting).toBe(0), 10_000);
  await vi.waitFor(() => expect(rows.row(items[299]?.id ?? "")?.version).toBe(1), 10_000);
  expect(rows.ids).toHaveLength(300);
});
