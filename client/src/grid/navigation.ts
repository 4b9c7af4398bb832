/** Where a key leads in the grid. Pure. */
import type { HistoryStep } from "../api/types";

export interface Place {
  row: number;
  column: number;
}

export interface Extent {
  rows: number;
  columns: number;
  /** How many rows a page of the screen holds. */
  page: number;
}

interface Press {
  key: string;
  shiftKey: boolean;
  /** Ctrl, or Cmd on a Mac. */
  command: boolean;
}

/** What a key does to the caller's own changes: Ctrl or Cmd with Z, Shift (or Y) for the way forth. */
export function historyStep(press: Press): HistoryStep | null {
  if (!press.command) return null;
  const key = press.key.toLowerCase();
  if (key === "z") return press.shiftKey ? "redo" : "undo";
  return key === "y" && !press.shiftKey ? "redo" : null;
}

/** The place that a key moves to; `null` when it isn't the grid's key or would leave the grid. */
export function placeAfter(press: Press, from: Place, extent: Extent): Place | null {
  const { row, column } = from;
  const lastRow = extent.rows - 1;
  const lastColumn = extent.columns - 1;
  const to = (nextRow: number, nextColumn: number): Place => ({
    row: Math.max(0, Math.min(lastRow, nextRow)),
    column: Math.max(0, Math.min(lastColumn, nextColumn)),
  });
  switch (press.key) {
    case "ArrowUp":
      return to(press.command ? 0 : row - 1, column);
    case "ArrowDown":
      return to(press.command ? lastRow : row + 1, column);
    case "ArrowLeft":
      return to(row, press.command ? 0 : column - 1);
    case "ArrowRight":
      return to(row, press.command ? lastColumn : column + 1);
    case "Home":
      return to(press.command ? 0 : row, 0);
    case "End":
      return to(press.command ? lastRow : row, lastColumn);
    case "PageUp":
      return to(row - extent.page, column);
    case "PageDown":
      return to(row + extent.page, column);
    case "Tab":
      return press.shiftKey ? before(from, lastColumn) : after(from, lastRow, lastColumn);
    default:
      return null;
  }
}

/** Tab runs through the rows, and leaves the grid at its ends so that the keyboard is never caught. */
function after({ row, column }: Place, lastRow: number, lastColumn: number): Place | null {
  if (column < lastColumn) return { row, column: column + 1 };
  return row < lastRow ? { row: row + 1, column: 0 } : null;
}

function before({ row, column }: Place, lastColumn: number): Place | null {
  if (column > 0) return { row, column: column - 1 };
  return row > 0 ? { row: row - 1, column: lastColumn } : null;
}
