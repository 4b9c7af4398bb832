/** What the grid knows about each column type: one table. */
import type { Column, ColumnType } from "../api/types";

interface TypeFacts {
  label: string;
  width: number;
  align: "start" | "end" | "center";
  /** How a value is entered; `null`: the server computes it, or its own paths write it. */
  editor: EditorKind | null;
}

export type EditorKind = "line" | "text" | "toggle" | "choice" | "choices" | "people" | "address";

const TYPES: Readonly<Record<ColumnType, TypeFacts>> = {
  text: { label: "Text", width: 180, align: "start", editor: "line" },
  long_text: { label: "Long text", width: 260, align: "start", editor: "text" },
  number: { label: "Number", width: 110, align: "end", editor: "line" },
  currency: { label: "Currency", width: 130, align: "end", editor: "line" },
  percent: { label: "Percent", width: 100, align: "end", editor: "line" },
  rating: { label: "Rating", width: 120, align: "start", editor: "line" },
  checkbox: { label: "Checkbox", width: 96, align: "center", editor: "toggle" },
  date: { label: "Date", width: 130, align: "start", editor: "line" },
  date_time: { label: "Date and time", width: 200, align: "start", editor: "line" },
  single_select: { label: "Choice", width: 160, align: "start", editor: "choice" },
  multi_select: { label: "Choices", width: 220, align: "start", editor: "choices" },
  email: { label: "E-mail", width: 220, align: "start", editor: "line" },
  phone: { label: "Phone", width: 160, align: "start", editor: "line" },
  url: { label: "Link", width: 220, align: "start", editor: "line" },
  address: { label: "Address", width: 280, align: "start", editor: "address" },
  location: { label: "Location", width: 190, align: "start", editor: "line" },
  user: { label: "Person", width: 160, align: "start", editor: "people" },
  file: { label: "Files", width: 160, align: "start", editor: null },
  link: { label: "Linked records", width: 200, align: "start", editor: null },
  lookup: { label: "Lookup", width: 160, align: "start", editor: null },
  rollup: { label: "Rollup", width: 120, align: "end", editor: null },
  count: { label: "Count", width: 100, align: "end", editor: null },
  formula: { label: "Formula", width: 140, align: "start", editor: null },
  auto_number: { label: "Number, automatic", width: 100, align: "end", editor: null },
  created_at: { label: "Created", width: 200, align: "start", editor: null },
  created_by: { label: "Created by", width: 150, align: "start", editor: null },
  updated_at: { label: "Changed", width: 200, align: "start", editor: null },
  updated_by: { label: "Changed by", width: 150, align: "start", editor: null },
};

/** The facts of a column's type; a type that this client doesn't know yet is shown as text, read-only. */
export function factsOf(column: Column): TypeFacts {
  const facts = TYPES[column.type] ?? { ...TYPES.text, label: column.type, editor: null };
  const shown = shownAs(column);
  return shown === column ? facts : { ...facts, align: TYPES[shown.type]?.align ?? "start" };
}

/** The column whose cells look alike: a computed one is shown as a column of its results is. */
export function shownAs(column: Column): Column {
  const result = column.options?.result;
  if (result === undefined || result === column.type) return column;
  return { ...column, type: result === "list" ? "text" : result };
}

/** Wide enough for the type's values and for the heading. Pixels. */
export function widthOf(column: Column): number {
  return Math.min(320, Math.max(factsOf(column).width, Math.round(column.name.length * 7.6) + 36));
}
