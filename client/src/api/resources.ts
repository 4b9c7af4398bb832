/** The resources of the contract that this client uses, one function a request. */
import type { Operation } from "../sync/operations";
import { type Answer, request } from "./http";
import type { Item, List, Me, Member, Page, Workspace } from "./types";

export const me = async () => (await request<Me>("/me")).data;

export const workspace = async (id: string) => (await request<Workspace>(`/workspaces/${id}`)).data;

export const createWorkspace = async (name: string, template: string | null) =>
  (
    await request<Workspace>("/workspaces", {
      method: "POST",
      body: template ? { name, template } : { name },
    })
  ).data;

export const lists = async (workspaceId: string) =>
  (await request<Page<List>>(`/workspaces/${workspaceId}/lists`, { query: { limit: 1000 } })).data.data;

export const members = async (workspaceId: string) =>
  (await request<Page<Member>>(`/workspaces/${workspaceId}/members`, { query: { limit: 1000 } })).data.data;

export const items = (
  workspaceId: string,
  listId: string,
  page: { cursor: string | null; limit: number; minSeq: number | null; signal: AbortSignal },
): Promise<Answer<Page<Item>>> =>
  request(`/workspaces/${workspaceId}/lists/${listId}/items`, {
    query: { limit: page.limit, cursor: page.cursor },
    minSeq: page.minSeq,
    signal: page.signal,
  });

export const restoreItem = (workspaceId: string, listId: string, itemId: string) =>
  request<Item>(`/workspaces/${workspaceId}/lists/${listId}/items/${itemId}/restore`, { method: "POST" });

/** The REST form of an operation, for those too large for a frame; answers the `seq` it was committed at. */
export async function write(workspaceId: string, operation: Operation): Promise<number> {
  const path = `/workspaces/${workspaceId}/lists/${operation.list}/items`;
  const { write, id } = operation;
  const options = { idempotencyKey: id } as const;
  if (write.kind === "delete") {
    return (await request(`${path}/delete`, { ...options, method: "POST", body: { ids: write.ids } })).seq;
  }
  const method = write.kind === "create" ? "POST" : "PATCH";
  const answer = await request<Page<Item>>(path, { ...options, method, body: { items: write.items } });
  return answer.data.data[0]?.seq ?? answer.seq;
}
