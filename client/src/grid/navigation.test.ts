/** Every key stays in the grid, and Tab leaves it only at its ends. */
import { describe, expect, it } from "vitest";
import { historyStep, placeAfter } from "./navigation";

const extent = { rows: 100, columns: 5, page: 20 };
const press = (key: string, more: { shiftKey?: boolean; command?: boolean } = {}) => ({
  key,
  shiftKey: false,
  command: false,
  ...more,
});

describe("historyStep", () => {
  it.each([
    [press("z", { command: true }), "undo"],
    [press("Z", { command: true, shiftKey: true }), "redo"],
    [press("y", { command: true }), "redo"],
    [press("z"), null],
    [press("Y", { command: true, shiftKey: true }), null],
    [press("x", { command: true }), null],
  ])("%j is %j", (key, step) => expect(historyStep(key)).toBe(step));
});

describe("placeAfter", () => {
  it.each([
    [press("ArrowDown"), { row: 0, column: 0 }, { row: 1, column: 0 }],
    [press("ArrowUp"), { row: 0, column: 0 }, { row: 0, column: 0 }],
    [press("ArrowDown", { command: true }), { row: 3, column: 2 }, { row: 99, column: 2 }],
    [press("PageDown"), { row: 90, column: 1 }, { row: 99, column: 1 }],
    [press("End"), { row: 4, column: 1 }, { row: 4, column: 4 }],
    [press("Home", { command: true }), { row: 4, column: 1 }, { row: 0, column: 0 }],
    [press("Tab"), { row: 4, column: 4 }, { row: 5, column: 0 }],
    [press("Tab", { shiftKey: true }), { row: 5, column: 0 }, { row: 4, column: 4 }],
    [press("Tab"), { row: 99, column: 4 }, null],
    [press("Tab", { shiftKey: true }), { row: 0, column: 0 }, null],
    [press("a"), { row: 0, column: 0 }, null],
  ])("%j from %j leads to %j", (key, from, to) => expect(placeAfter(key, from, extent)).toEqual(to));
});
