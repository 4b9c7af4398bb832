/** One row of the grid. Drawn again only when something in it has changed. */
import { memo } from "react";
import type { Column, Value } from "../api/types";
import { CellView } from "./CellView";
import { factsOf } from "./column-types";
import { Editor, type Move, type Person } from "./editors";
import type { Reader } from "./format";
import classes from "./grid.module.css";
import type { Writer } from "./parse";
import { cellValue, type GridRow } from "./source";

interface Props {
  /** Absent where the row hasn't been read yet. */
  row: GridRow | undefined;
  index: number;
  top: number;
  width: number;
  columns: readonly Column[];
  widths: readonly number[];
  frozen: number;
  firstDrawn: number;
  lastDrawn: number;
  before: number;
  /** -1 when the active cell is in another row. */
  activeColumn: number;
  editing: { typed: string | null } | null;
  editable: boolean;
  reader: Reader;
  writer: Writer;
  people: readonly Person[];
  onDone: ((result: { value: Value } | null, move: Move) => void) | undefined;
}

/** As long as the flash of the style sheet lasts. */
const FLASH_MS = 1600;

export const GridRowView = memo(function GridRowView(props: Props) {
  const { row, index, columns, frozen, firstDrawn, lastDrawn } = props;
  const drawn = columns.slice(firstDrawn, lastDrawn + 1).map((column, offset) => ({
    column,
    position: firstDrawn + offset,
  }));
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      aria-busy={row === undefined || undefined}
      className={classes.row}
      data-active={props.activeColumn >= 0 || undefined}
      data-new={row?.isNew || undefined}
      style={{ transform: `translateY(${props.top}px)`, width: props.width }}
    >
      <div role="rowheader" aria-colindex={1} className={classes.gutter}>
        {index + 1}
      </div>
      {columns.slice(0, frozen).map((column, position) => (
        <Cell key={column.key} {...props} column={column} position={position} isFrozen />
      ))}
      <span style={{ width: props.before }} className={classes.spacer} />
      {drawn.map(({ column, position }) => (
        <Cell key={column.key} {...props} column={column} position={position} isFrozen={false} />
      ))}
    </div>
  );
}, sameRow);

/** The handler of the active row is another one at each drawing of the grid; it is always drawn anew. */
function sameRow(before: Props, after: Props): boolean {
  if (after.activeColumn >= 0) return false;
  return (Object.keys(after) as (keyof Props)[]).every((key) => before[key] === after[key]);
}

function Cell(props: Props & { column: Column; position: number; isFrozen: boolean }) {
  const { row, column, position, activeColumn, editing, reader } = props;
  const isActive = position === activeColumn;
  const isEdited = isActive && editing !== null && row !== undefined;
  const value = row && cellValue(row, column);
  const readOnly = !props.editable || factsOf(column).editor === null;
  const flash =
    row?.touch?.keys.has(column.key) && Date.now() - row.touch.at < FLASH_MS ? row.touch.seq : null;
  return (
    <div
      role="gridcell"
      id={row && `cell-${row.id}-${column.key}`}
      aria-colindex={position + 2}
      aria-selected={isActive}
      aria-readonly={readOnly}
      className={classes.cell}
      data-cell
      data-row={row?.id}
      data-column={position}
      data-key={column.key}
      data-type={column.type}
      data-frozen={props.isFrozen || undefined}
      data-active={isActive || undefined}
      data-editing={isEdited || undefined}
      data-align={factsOf(column).align}
      data-pending={row?.pending.has(column.key) || undefined}
      style={{ width: props.widths[position] }}
    >
      {flash !== null && <span key={flash} className={classes.flash} />}
      {row ? (
        <CellView value={value} column={column} reader={reader} />
      ) : (
        <span className={classes.skeleton} />
      )}
      {isEdited && props.onDone && (
        <Editor
          column={column}
          value={value}
          typed={editing.typed}
          reader={reader}
          writer={props.writer}
          people={props.people}
          readOnly={readOnly}
          onDone={props.onDone}
        />
      )}
    </div>
  );
}
