/** The live connection of the workspace on the screen, as React sees it. */

import { type StopReason, WorkspaceConnection } from "@estatebase/realtime";
import { notifications } from "@mantine/notifications";
import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState, useSyncExternalStore } from "react";
import { socketUrl } from "../../api/origin";
import { sentenceOf } from "../../api/problem";
import * as resources from "../../api/resources";
import { accessToken, onSession, refreshToken } from "../../api/session";
import type { List, Role } from "../../api/types";

interface Live {
  connection: WorkspaceConnection | null;
  /** Why the connection is over for good. */
  stopped: { reason: StopReason; lost: number } | null;
}

/** Connects while the caller is on the screen. `role` is the one known before the socket says more. */
export function useConnection(workspace: string, role: Role | null): Live {
  const queries = useQueryClient();
  const [connection, setConnection] = useState<WorkspaceConnection | null>(null);
  const [stopped, setStopped] = useState<Live["stopped"]>(null);

  useEffect(() => {
    const made = new WorkspaceConnection({
      url: socketUrl,
      workspace,
      role,
      token: (fresh) => (fresh ? refreshToken() : accessToken()),
      onToken: (listener) => onSession((session) => session && listener(session.access_token)),
      rest: resources.live,
      rejected: (operation, problem) => {
        const lists = queries.getQueryData<List[]>(["lists", workspace]);
        const columns = lists?.find((list) => list.id === operation.list)?.columns;
        notifications.show({
          color: "red",
          title: "Not saved",
          message: sentenceOf(problem, columns),
          autoClose: 8000,
        });
      },
      metadata: (event) => readAgain(queries, workspace, event),
      stopped: (reason, lost) => setStopped({ reason, lost }),
    });
    setConnection(made);
    return made.start();
  }, [workspace, role, queries]);

  return { connection, stopped };
}

/** Draws the caller again after every change of the connection or of anything that it holds. */
export function useRevision(connection: WorkspaceConnection): number {
  return useSyncExternalStore(connection.subscribe, connection.getRevision);
}

function readAgain(queries: QueryClient, workspace: string, event: string): void {
  const subject = event.split(".")[0];
  if (subject === "list" || subject === "column")
    void queries.invalidateQueries({ queryKey: ["lists", workspace] });
  if (subject === "member") void queries.invalidateQueries({ queryKey: ["members", workspace] });
  if (subject === "workspace" || subject === "member") void queries.invalidateQueries({ queryKey: ["me"] });
}
