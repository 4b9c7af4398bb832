/** Says that the connection is gone and what becomes of changes; short interruptions pass unmentioned. */

import type { WorkspaceConnection } from "@estatebase/realtime";
import { useEffect, useState } from "react";
import { useRevision } from "./useConnection";
import classes from "./workspace.module.css";

const PATIENCE_MS = 2000;

export function OfflineBanner({ connection }: { connection: WorkspaceConnection }) {
  useRevision(connection);
  const live = connection.phase === "live";
  const waiting = connection.waiting;
  const [shown, setShown] = useState(false);

  useEffect(() => {
    if (live) return setShown(false);
    const timer = window.setTimeout(() => setShown(true), PATIENCE_MS);
    return () => window.clearTimeout(timer);
  }, [live]);

  // Unsent changes live in this page only: leaving it would lose them.
  useEffect(() => {
    if (waiting === 0) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [waiting]);

  return (
    <div role="status" className={classes.bannerRegion}>
      {shown && (
        <p className={classes.banner}>
          <strong>You're offline.</strong> {promise(waiting)} We keep trying to reconnect.
        </p>
      )}
    </div>
  );
}

function promise(waiting: number): string {
  if (waiting === 0) return "You can go on working; changes are sent when you're back.";
  if (waiting === 1) return "One change waits to be sent; keep this page open.";
  return `${waiting} changes wait to be sent; keep this page open.`;
}
