/** One workspace: its bar, its lists as tabs, and the list on the screen, over one live connection. */

import type { StopReason, WorkspaceConnection } from "@estatebase/realtime";
import { Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, Redirect, useRoute } from "wouter";
import { Problem } from "../../api/problem";
import * as resources from "../../api/resources";
import type { List, Membership } from "../../api/types";
import { ListScreen } from "../list/ListScreen";
import { Account } from "../shell/Account";
import { Brand } from "../shell/Brand";
import { NotHere } from "../shell/NotHere";
import shell from "../shell/shell.module.css";
import { Waiting } from "../shell/Waiting";
import { LiveMark } from "./LiveMark";
import { OfflineBanner } from "./OfflineBanner";
import { useConnection, useRevision } from "./useConnection";
import classes from "./workspace.module.css";

export default function Workspace({ id }: { id: string }) {
  const { data: me, error } = useQuery({ queryKey: ["me"], queryFn: resources.me });
  const membership = me?.memberships.find((one) => one.workspace_id === id);
  if (membership) return <Connected membership={membership} />;
  if (me) return <NotHere title="This workspace isn't here" />;
  if (error) return <NotHere title="This workspace can't be shown">{error.message}</NotHere>;
  return <Waiting />;
}

function Connected({ membership }: { membership: Membership }) {
  const { connection, stopped } = useConnection(membership.workspace_id, membership.role);
  if (stopped) return <NotHere title={ENDINGS[stopped.reason]}>{loss(stopped.lost)}</NotHere>;
  return connection ? <Lists membership={membership} connection={connection} /> : <Waiting />;
}

const ENDINGS: Readonly<Record<StopReason, string>> = {
  removed: "You are no longer a member of this workspace",
  forbidden: "You are no longer a member of this workspace",
  gone: "This workspace isn't here any more",
  signed_out: "Your session has ended",
  outdated: "There is a new version: reload the page",
  protocol: "The connection was refused: reload the page",
};

function loss(changes: number): string {
  if (changes === 0) return "Everything that you changed was saved.";
  return changes === 1 ? "One change could not be saved." : `${changes} changes could not be saved.`;
}

interface ConnectedProps {
  membership: Membership;
  connection: WorkspaceConnection;
}

function Lists({ membership, connection }: ConnectedProps) {
  const { workspace_id: id, name } = membership;
  const [, route] = useRoute("/w/:workspace/l/:list");
  const { data: lists, error } = useQuery({ queryKey: ["lists", id], queryFn: () => resources.lists(id) });
  useRevision(connection);

  const ordered = lists?.toSorted((a, b) => a.position - b.position) ?? [];
  const current = ordered.find((list) => list.id === route?.list);
  return (
    <div className={classes.screen}>
      <header className={shell.bar}>
        <Link href="/" className={classes.home} aria-label="All workspaces">
          <Brand withName={false} />
        </Link>
        <Title order={1} className={classes.title}>
          {name}
        </Title>
        <LiveMark connection={connection} />
        <Account />
      </header>
      <OfflineBanner connection={connection} />
      <Tabs workspace={id} lists={ordered} current={current} />
      <main className={classes.main}>
        {error && (
          <Text p="lg">{error instanceof Problem ? error.message : "The lists can't be shown."}</Text>
        )}
        {!lists && !error && <Waiting />}
        {lists && !route && ordered[0] && <Redirect to={`/w/${id}/l/${ordered[0].id}`} replace />}
        {lists && !route && !ordered[0] && <Empty />}
        {lists && route && !current && <NotHere title="This list isn't here" />}
        {current && <ListScreen key={current.id} list={current} connection={connection} />}
      </main>
    </div>
  );
}

function Tabs({
  workspace,
  lists,
  current,
}: {
  workspace: string;
  lists: List[];
  current: List | undefined;
}) {
  return (
    <nav className={classes.tabs} aria-label="Lists">
      {lists.map((list) => (
        <Link
          key={list.id}
          href={`/w/${workspace}/l/${list.id}`}
          className={classes.tab}
          aria-current={list.id === current?.id ? "page" : undefined}
        >
          {list.name}
        </Link>
      ))}
    </nav>
  );
}

function Empty() {
  return (
    <Text c="dimmed" ta="center" p="xl">
      This workspace has no lists yet.
    </Text>
  );
}
