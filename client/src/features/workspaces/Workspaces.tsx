/** The workspaces that one belongs to, and how to start another. */
import { Alert, Button, Group, Skeleton, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import * as resources from "../../api/resources";
import type { Membership } from "../../api/types";
import { Account } from "../shell/Account";
import { Brand } from "../shell/Brand";
import shell from "../shell/shell.module.css";
import { NewWorkspace } from "./NewWorkspace";
import classes from "./workspaces.module.css";

export function Workspaces() {
  const { data: me, error, refetch } = useQuery({ queryKey: ["me"], queryFn: resources.me });
  const [making, setMaking] = useState(false);
  const memberships = me?.memberships;

  return (
    <>
      <header className={shell.bar}>
        <Brand />
        <Account />
      </header>
      <main className={classes.page}>
        <Group justify="space-between" mb="lg">
          <Title order={1} size="h2">
            Workspaces
          </Title>
          {memberships && memberships.length > 0 && (
            <Button onClick={() => setMaking(true)}>New workspace</Button>
          )}
        </Group>
        {error && (
          <Alert color="red" title="Your workspaces can't be shown" role="alert">
            {error.message}
            <Button size="xs" variant="default" mt="sm" display="block" onClick={() => void refetch()}>
              Try again
            </Button>
          </Alert>
        )}
        {!memberships && !error && <Skeleton height={76} radius="lg" />}
        {memberships?.length === 0 && <Welcome onStart={() => setMaking(true)} />}
        <ul className={classes.cards}>
          {memberships?.map((membership) => (
            <Card key={membership.workspace_id} membership={membership} />
          ))}
        </ul>
      </main>
      <NewWorkspace opened={making} onClose={() => setMaking(false)} />
    </>
  );
}

function Card({ membership }: { membership: Membership }) {
  return (
    <li>
      <Link href={`/w/${membership.workspace_id}`} className={classes.card}>
        <span className={classes.initial} aria-hidden="true">
          {[...membership.name][0]?.toUpperCase()}
        </span>
        <span className={classes.about}>
          <span className={classes.title}>{membership.name}</span>
          <span className={classes.role}>{ROLES[membership.role]}</span>
        </span>
      </Link>
    </li>
  );
}

const ROLES = {
  viewer: "You can look",
  commenter: "You can comment",
  editor: "You can edit",
  admin: "You are an admin",
  owner: "You are an owner",
} as const;

function Welcome({ onStart }: { onStart: () => void }) {
  return (
    <Stack align="center" gap="xs" className={classes.welcome}>
      <Title order={2} size="h4">
        Start your first workspace
      </Title>
      <Text c="dimmed" ta="center" maw={440}>
        A workspace holds the lists that your team works on together: contacts, properties, deals, showings.
      </Text>
      <Button mt="sm" onClick={onStart}>
        New workspace
      </Button>
    </Stack>
  );
}
