/**
 * The table of one list: virtualised both ways, so that a row or a column costs nothing until it is seen.
 * It owns which cell is active and which is being edited; what the rows are and what becomes of an edit is
 * its caller's. One element holds the focus and names the active cell (`aria-activedescendant`).
 */
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, type MouseEvent, useEffect, useMemo, useRef, useState } from "react";
import type { Column, HistoryStep, Value } from "../api/types";
import { factsOf, widthOf } from "./column-types";
import type { Move, Person } from "./editors";
import { editText, type Reader } from "./format";
import { GridHeader } from "./GridHeader";
import { GridRowView } from "./GridRowView";
import classes from "./grid.module.css";
import { historyStep, placeAfter } from "./navigation";
import { parseText, type Writer } from "./parse";
import { cellValue, type GridSource } from "./source";

export interface ActiveCell {
  /** The item's id: the cell stays the same one while rows come and go around it. */
  id: string;
  key: string;
}

interface Props {
  label: string;
  columns: readonly Column[];
  source: GridSource;
  /** Changes whenever anything in the source has. */
  revision: number;
  editable: boolean;
  reader: Reader;
  writer: Writer;
  people: readonly Person[];
  active: ActiveCell | null;
  onActive: (cell: ActiveCell | null) => void;
  onEdit: (id: string, key: string, value: Value) => void;
  /** The caller's own last change is to be taken back, or put back. */
  onHistory: (step: HistoryStep) => void;
  /** Something typed or pasted couldn't be read. */
  onRefused: (message: string) => void;
  /** That many rows should be there. */
  onWant: (rows: number) => void;
}

const ROW = 36;
const HEADER = 40;
const GUTTER = 56;
/** Below this width no column is frozen: it would leave too little to scroll. */
const ROOM_TO_FREEZE = 640;
const ROWS_AHEAD = 200;
/** Rows drawn where the next page will come. */
const ROWS_TO_COME = 3;

export function Grid(props: Props) {
  const { columns, source, revision, editable, active, onActive, onWant } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const [roomy, setRoomy] = useState(true);
  const [editing, setEditing] = useState<{ typed: string | null } | null>(null);
  const [lastIndex, setLastIndex] = useState(0);

  const frozen = roomy && columns.length > 1 ? 1 : 0;
  const widths = useMemo(() => columns.map(widthOf), [columns]);
  const frozenWidth = GUTTER + widths.slice(0, frozen).reduce((sum, width) => sum + width, 0);
  const shownIndex = active ? source.indexOf(active.id) : -1;
  const columnIndex = active ? columns.findIndex((column) => column.key === active.key) : -1;

  const rows = useVirtualizer({
    count: source.ids.length + (source.complete ? 0 : ROWS_TO_COME),
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 8,
    scrollMargin: HEADER,
    scrollPaddingStart: HEADER,
    scrollPaddingEnd: 14,
    useFlushSync: false,
  });
  const across = useVirtualizer({
    horizontal: true,
    count: columns.length - frozen,
    getScrollElement: () => scroller.current,
    estimateSize: (index) => widths[index + frozen] ?? 0,
    overscan: 2,
    scrollMargin: frozenWidth,
    scrollPaddingStart: frozenWidth,
    scrollPaddingEnd: 14,
    useFlushSync: false,
  });

  // biome-ignore lint/correctness/useExhaustiveDependencies: other columns have other widths
  useEffect(() => across.measure(), [widths, frozen]);

  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setRoomy(element.clientWidth >= ROOM_TO_FREEZE));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const visibleRows = rows.getVirtualItems();
  const lastVisible = visibleRows.at(-1)?.index ?? 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a page that has arrived may leave more to ask for
  useEffect(() => onWant(lastVisible + ROWS_AHEAD), [lastVisible, onWant, revision]);

  // A cell that becomes active is brought into view; rows that come or go above it don't push it out.
  const placed = useRef({ id: "", index: -1 });
  useEffect(() => {
    const before = placed.current;
    placed.current = { id: active?.id ?? "", index: shownIndex };
    if (shownIndex < 0) return;
    const { startIndex = 0, endIndex = 0 } = rows.range ?? {};
    const wasInView = before.index >= startIndex && before.index <= endIndex;
    if (active?.id !== before.id || wasInView) rows.scrollToIndex(shownIndex, { align: "auto" });
  }, [active?.id, shownIndex, rows]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another row's cell in the same column comes into view too
  useEffect(() => {
    if (columnIndex >= frozen) across.scrollToIndex(columnIndex - frozen, { align: "auto" });
  }, [active?.id, columnIndex, frozen, across]);

  // The active row was deleted, perhaps by somebody else: its place is taken by the next one.
  useEffect(() => {
    if (!active) return;
    if (shownIndex >= 0) return setLastIndex(shownIndex);
    const heir = source.ids[Math.min(lastIndex, source.ids.length - 1)];
    setEditing(null);
    onActive(heir === undefined ? null : { id: heir, key: active.key });
  }, [active, shownIndex, lastIndex, source, onActive]);

  const activate = (row: number, column: number) => {
    const id = source.ids[row];
    const key = columns[column]?.key;
    if (id === undefined || key === undefined) return;
    setEditing(null);
    onActive({ id, key });
  };

  const activeColumn = columns[columnIndex];
  const activeRow = active ? source.row(active.id) : undefined;
  const writable = (column: Column) => editable && factsOf(column).editor !== null;

  const startEdit = (typed: string | null) => {
    if (!activeColumn || !activeRow) return;
    if (!writable(activeColumn)) {
      if (typed === null) setEditing({ typed });
    } else if (factsOf(activeColumn).editor === "toggle") {
      toggle(activeRow.id, activeColumn);
    } else setEditing({ typed });
  };
  const toggle = (id: string, column: Column) => {
    const row = source.row(id);
    if (row && writable(column)) props.onEdit(id, column.key, cellValue(row, column) !== true);
  };

  const onDone = (result: { value: Value } | null, move: Move) => {
    setEditing(null);
    scroller.current?.focus({ preventScroll: true });
    if (result && active) props.onEdit(active.id, active.key, result.value);
    const key = { down: "ArrowDown", right: "Tab", left: "Tab", stay: "" }[move];
    const place = placeAfter(
      { key, shiftKey: move === "left", command: false },
      { row: shownIndex, column: columnIndex },
      { rows: source.ids.length, columns: columns.length, page: 1 },
    );
    if (place) activate(place.row, place.column);
  };

  const clear = () => {
    if (!activeColumn || !activeRow || !writable(activeColumn)) return;
    if (activeColumn.required) props.onRefused(`${activeColumn.name} can't be empty.`);
    else if (cellValue(activeRow, activeColumn) !== undefined)
      props.onEdit(activeRow.id, activeColumn.key, null);
  };

  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>) => {
    if (editing || event.target !== event.currentTarget) return;
    const command = event.ctrlKey || event.metaKey;
    const step = historyStep({ key: event.key, shiftKey: event.shiftKey, command });
    if (step && editable) {
      event.preventDefault();
      return props.onHistory(step);
    }
    if (!active) {
      if (!event.key.startsWith("Arrow")) return;
      event.preventDefault();
      return activate(visibleRows[0]?.index ?? 0, 0);
    }
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? ROW) / ROW) - 2);
    const extent = { rows: source.ids.length, columns: columns.length, page };
    const press = { key: event.key, shiftKey: event.shiftKey, command };
    const place = placeAfter(press, { row: shownIndex, column: columnIndex }, extent);
    if (place) activate(place.row, place.column);
    else if (event.key === "Enter" || event.key === "F2") startEdit(null);
    else if (event.key === "Delete" || event.key === "Backspace") clear();
    else if (event.key === "Escape") return onActive(null);
    else if (event.key === " " && activeColumn?.type === "checkbox") startEdit(null);
    else if (event.key.length === 1 && !command && !event.altKey) startEdit(event.key);
    else return;
    event.preventDefault();
  };

  const cellAt = (event: MouseEvent): { id: string; column: number } | null => {
    const cell = (event.target as Element).closest<HTMLElement>("[data-cell]");
    const { row: id, column } = cell?.dataset ?? {};
    return id === undefined || column === undefined ? null : { id, column: Number(column) };
  };

  const onClick = (event: MouseEvent<HTMLDivElement>) => {
    const cell = cellAt(event);
    if (!cell || (editing && cell.id === active?.id && cell.column === columnIndex)) return;
    const column = columns[cell.column];
    if (!column) return;
    const again = cell.id === active?.id && cell.column === columnIndex;
    activate(source.indexOf(cell.id), cell.column);
    const onToggle = (event.target as Element).closest("[data-toggle]") !== null;
    if (onToggle) toggle(cell.id, column);
    // Fingers have no double click to speak of: a second tap opens.
    else if (again && (event.nativeEvent as PointerEvent).pointerType === "touch") startEdit(null);
  };

  const onDoubleClick = (event: MouseEvent<HTMLDivElement>) => {
    const cell = cellAt(event);
    const onToggle = (event.target as Element).closest("[data-toggle]") !== null;
    if (cell && !editing && !onToggle && cell.id === active?.id) startEdit(null);
  };

  const onCopy = (event: React.ClipboardEvent) => {
    if (editing || !activeRow || !activeColumn) return;
    event.preventDefault();
    event.clipboardData.setData(
      "text/plain",
      editText(cellValue(activeRow, activeColumn), activeColumn, props.reader),
    );
  };

  const onPaste = (event: React.ClipboardEvent) => {
    if (editing || !activeRow || !activeColumn || !writable(activeColumn)) return;
    event.preventDefault();
    const text = event.clipboardData.getData("text/plain").replace(/\r?\n$/, "");
    const parsed = parseText(text, activeColumn, props.writer);
    if (parsed.ok) props.onEdit(activeRow.id, activeColumn.key, parsed.value);
    else props.onRefused(`${activeColumn.name}: ${parsed.message}.`);
  };

  // The active row stays drawn when it is scrolled away: it holds the editor and the screen reader's place.
  const drawnRows = visibleRows.map(({ index, start }) => ({ index, top: start - HEADER }));
  if (shownIndex >= 0 && !drawnRows.some(({ index }) => index === shownIndex)) {
    drawnRows.push({ index: shownIndex, top: shownIndex * ROW });
  }
  const drawnColumns = across.getVirtualItems().map((item) => item.index + frozen);
  const before = (across.getVirtualItems()[0]?.start ?? frozenWidth) - frozenWidth;
  const width = frozenWidth + widths.slice(frozen).reduce((sum, one) => sum + one, 0);

  return (
    <div
      ref={scroller}
      className={classes.grid}
      role="grid"
      tabIndex={0}
      aria-label={props.label}
      aria-rowcount={source.complete ? source.ids.length + 1 : -1}
      aria-colcount={columns.length + 1}
      aria-readonly={!editable}
      aria-activedescendant={active && shownIndex >= 0 ? `cell-${active.id}-${active.key}` : undefined}
      onKeyDown={onKeyDown}
      onClick={onClick}
      onDoubleClick={onDoubleClick}
      onCopy={onCopy}
      onPaste={onPaste}
    >
      <GridHeader
        columns={columns}
        widths={widths}
        frozen={frozen}
        drawn={drawnColumns}
        before={before}
        width={width}
      />
      <div role="rowgroup" className={classes.body} style={{ height: rows.getTotalSize(), width }}>
        {drawnRows.map(({ index, top }) => {
          const id = source.ids[index];
          const row = id === undefined ? undefined : source.row(id);
          const isActive = index === shownIndex;
          return (
            <GridRowView
              key={id ?? `to-come-${index}`}
              row={row}
              index={index}
              top={top}
              width={width}
              columns={columns}
              widths={widths}
              frozen={frozen}
              firstDrawn={drawnColumns[0] ?? 0}
              lastDrawn={drawnColumns.at(-1) ?? -1}
              before={before}
              activeColumn={isActive ? columnIndex : -1}
              editing={isActive ? editing : null}
              editable={editable}
              reader={props.reader}
              writer={props.writer}
              people={props.people}
              onDone={isActive ? onDone : undefined}
            />
          );
        })}
      </div>
    </div>
  );
}
