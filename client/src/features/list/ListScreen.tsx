/** One list: its tools, its table, its footer. */

import type { WorkspaceConnection } from "@estatebase/realtime";
import { Button, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQuery } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import { v7 as uuidv7 } from "uuid";
import * as resources from "../../api/resources";
import type { Column, HistoryStep, List, Role, Value, Values } from "../../api/types";
import type { Person } from "../../grid/editors";
import { type ActiveCell, Grid } from "../../grid/Grid";
import { useRevision } from "../workspace/useConnection";
import { AddItem } from "./AddItem";
import classes from "./list.module.css";
import { useReader } from "./useReader";

interface Props {
  list: List;
  connection: WorkspaceConnection;
}

const EDITORS: readonly (Role | null)[] = ["editor", "admin", "owner"];

export function ListScreen({ list, connection }: Props) {
  const revision = useRevision(connection);
  const replica = connection.open(list.id);
  const [active, setActive] = useState<ActiveCell | null>(null);
  const [adding, setAdding] = useState(false);
  const { reader, writer, people } = usePeopleAndLocale(connection.workspace);
  const columns = useMemo(() => list.columns.toSorted((a, b) => a.position - b.position), [list.columns]);
  const demanding = columns.filter(mustBeFilled);
  const editable = EDITORS.includes(connection.role);

  const onWant = useCallback((rows: number) => connection.want(list.id, rows), [connection, list.id]);
  const onEdit = (id: string, key: string, value: Value) =>
    connection.submit(list.id, { kind: "edit", items: [{ id, values: { [key]: value } }] });
  const add = (values: Values) => {
    const id = uuidv7();
    connection.submit(list.id, { kind: "create", items: [{ id, values }] });
    const first = columns[0];
    if (first) setActive({ id, key: first.key });
    setAdding(false);
  };
  const remove = (id: string) => {
    connection.submit(list.id, { kind: "delete", ids: [id] });
    offerUndo(connection.workspace, list.id, id);
  };

  const onHistory = (step: HistoryStep) => {
    // What has not been sent is not in the log yet: undoing would reach behind it.
    if (connection.waiting > 0) return refuse("Some changes wait to be sent.");
    resources.stepBack(connection.workspace, step).catch((problem: Error) => refuse(problem.message));
  };

  const failure = connection.failure(list.id);
  return (
    <>
      <div className={classes.tools}>
        {editable ? (
          <>
            <Button size="xs" onClick={() => (demanding.length > 0 ? setAdding(true) : add({}))}>
              Add row
            </Button>
            <Button
              size="xs"
              variant="default"
              disabled={!active}
              onClick={() => active && remove(active.id)}
            >
              Delete row
            </Button>
          </>
        ) : (
          <span className={classes.readOnly}>You can look at this list but not change it</span>
        )}
        <span className={classes.count} role="status">
          {countText(replica.ids.length, replica.complete, replica.blank)}
        </span>
      </div>
      {failure && (
        <div role="alert" className={classes.failure}>
          {failure.message}
        </div>
      )}
      <div className={classes.table}>
        <Grid
          label={list.name}
          columns={columns}
          source={replica}
          revision={revision}
          editable={editable}
          reader={reader}
          writer={writer}
          people={people}
          active={active}
          onActive={setActive}
          onEdit={onEdit}
          onHistory={onHistory}
          onRefused={refuse}
          onWant={onWant}
        />
        {replica.complete && replica.ids.length === 0 && <Empty editable={editable} />}
      </div>
      {adding && <AddItem columns={demanding} writer={writer} onAdd={add} onClose={() => setAdding(false)} />}
    </>
  );
}

function refuse(message: string): void {
  notifications.show({ color: "red", message });
}

function Empty({ editable }: { editable: boolean }) {
  return (
    <div className={classes.empty}>
      <Text fw={600}>Nothing here yet</Text>
      <Text c="dimmed" size="sm">
        {editable
          ? "Add the first row; your colleagues see it at once."
          : "Rows appear here as they are added."}
      </Text>
    </div>
  );
}

/** Columns without which the server wouldn't take a new item. */
function mustBeFilled(column: Column): boolean {
  return column.required && (column.default === undefined || column.default === null);
}

function countText(rows: number, complete: boolean, blank: boolean): string {
  if (blank) return "Loading…";
  const count = new Intl.NumberFormat().format(rows);
  if (!complete) return `${count}+ rows`;
  return rows === 1 ? "1 row" : `${count} rows`;
}

/** A deleted row waits in the trash: one click brings it back. */
function offerUndo(workspace: string, list: string, item: string): void {
  const notice = notifications.show({
    message: (
      <span className={classes.undo}>
        Row deleted
        <Button
          size="compact-xs"
          variant="light"
          onClick={() => {
            notifications.hide(notice);
            resources.restoreItem(workspace, list, item).catch((problem: Error) => {
              notifications.show({ color: "red", title: "Not restored", message: problem.message });
            });
          }}
        >
          Undo
        </Button>
      </span>
    ),
    autoClose: 8000,
  });
}

function usePeopleAndLocale(workspace: string) {
  const { data: members } = useQuery({
    queryKey: ["members", workspace],
    queryFn: () => resources.members(workspace),
  });
  const people = useMemo<Person[]>(
    () =>
      (members ?? []).map((member) => ({
        id: member.user_id,
        name: member.display_name || member.email || "Someone",
      })),
    [members],
  );
  return { people, ...useReader(people) };
}
