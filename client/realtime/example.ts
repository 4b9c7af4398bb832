import { connect } from "@estatebase/realtime";

export function follow(origin: string, workspace: string, list: string, token: string) {
  const connection = connect({ origin, workspace, token: async () => token });
  const rows = connection.open(list);
  connection.want(list, 100);
  connection.subscribe(() => {
    for (const id of rows.ids) document.title = String(rows.row(id)?.values.City ?? "");
  });
  const stop = connection.start();
  const rename = (id: string, City: string) =>
    connection.submit(list, { kind: "edit", items: [{ id, values: { City } }] });
  return { rename, stop };
}
