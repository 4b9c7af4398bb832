/** A quiet sign of whether colleagues' changes arrive as they happen, and whether own ones are saved. */
import type { WorkspaceConnection } from "@estatebase/realtime";
import { useRevision } from "./useConnection";
import classes from "./workspace.module.css";

export function LiveMark({ connection }: { connection: WorkspaceConnection }) {
  useRevision(connection);
  const live = connection.phase === "live";
  const { waiting } = connection;
  const text = live ? (waiting > 0 ? "Saving…" : "Live") : "Connecting…";
  return (
    <span className={classes.live} data-live={live} data-testid="live" role="status">
      <span className={classes.dot} aria-hidden="true" />
      <span>{text}</span>
    </span>
  );
}
