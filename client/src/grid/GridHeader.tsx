/** The headings of the columns; stays at the top while the rows scroll. */
import type { Column } from "../api/types";
import { factsOf } from "./column-types";
import classes from "./grid.module.css";

interface Props {
  columns: readonly Column[];
  widths: readonly number[];
  frozen: number;
  /** The columns that are on the screen. */
  drawn: readonly number[];
  /** Pixels left out before the first of them. */
  before: number;
  width: number;
}

export function GridHeader({ columns, widths, frozen, drawn, before, width }: Props) {
  const heading = (index: number, isFrozen: boolean) => {
    const column = columns[index];
    if (!column) return null;
    const { label, align, editor } = factsOf(column);
    return (
      <div
        key={column.key}
        role="columnheader"
        aria-colindex={index + 2}
        className={classes.heading}
        data-frozen={isFrozen || undefined}
        data-align={align}
        style={{ width: widths[index] }}
        title={`${column.name} · ${label}${editor ? "" : " · read-only"}${column.required ? " · required" : ""}`}
      >
        <span className={classes.headingText}>{column.name}</span>
        {column.required && (
          <span className={classes.required} title="Required">
            *
          </span>
        )}
      </div>
    );
  };
  return (
    <div role="rowgroup" className={classes.header} style={{ width }}>
      <div role="row" aria-rowindex={1} className={classes.headerRow}>
        <div role="columnheader" aria-colindex={1} className={classes.gutter} data-heading>
          <span className={classes.hidden}>Row</span>
        </div>
        {columns.slice(0, frozen).map((_, index) => heading(index, true))}
        <span style={{ width: before }} className={classes.spacer} />
        {drawn.map((index) => heading(index, false))}
      </div>
    </div>
  );
}
