/** The resources of the contract that this client uses, one function a request. */
import { type PageRequest, type Rest, requestOf } from "@estatebase/realtime";
import { request } from "./http";
import type { HistoryStep, Item, List, Me, Member, Page, Undone, Workspace } from "./types";

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

export const restoreItem = (workspaceId: string, listId: string, itemId: string) =>
  request<Item>(`/workspaces/${workspaceId}/lists/${listId}/items/${itemId}/restore`, { method: "POST" });

/** Takes back the caller's last change, or its taking back: what others see is one more change. */
export const stepBack = (workspaceId: string, step: HistoryStep) =>
  request<Undone>(`/workspaces/${workspaceId}/${step}`, { method: "POST", body: {} });

/** What the live connection needs of the REST API. */
export const live: Rest = {
  read: (workspaceId: string, listId: string, { limit, cursor, minSeq, signal }: PageRequest) =>
    request<Page<Item>>(`/workspaces/${workspaceId}/lists/${listId}/items`, {
      query: { limit, cursor },
      minSeq,
      signal,
    }),

  async write(workspaceId, operation) {
    const { method, path, body } = requestOf(operation);
    const options = { method, body, idempotencyKey: operation.id };
    const answer = await request<Page<Item> | undefined>(`/workspaces/${workspaceId}${path}`, options);
    return answer.data?.data[0]?.seq ?? answer.seq;
  },
};
