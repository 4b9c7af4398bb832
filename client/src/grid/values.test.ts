/** What people type is read as they mean it, and what is shown can be typed back. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Column, ColumnOptions, ColumnType, Value } from "../api/types";
import { displayText, editText, safeHref } from "./format";
import { parseText } from "./parse";

const american = {
  locale: "en-US",
  today: "2026-03-04",
  nameOf: (id: string) => (id === "u1" ? "Ada" : "Someone"),
};
const german = { ...american, locale: "de-DE" };

function column(type: ColumnType, options: ColumnOptions = {}): Column {
  return { key: "k", name: "K", type, options, required: false, position: 0 };
}

function typed(text: string, of: Column, writer = american): Value | "refused" {
  const parsed = parseText(text, of, writer);
  return parsed.ok ? parsed.value : "refused";
}

describe("numbers", () => {
  it.each([
    ["1250000", 1250000],
    ["1,250,000", 1250000],
    ["$1,250,000.50", 1250000.5],
    ["450k", 450000],
    ["1.2M", 1200000],
    ["(500)", -500],
    ["-$3", -3],
    [".5", 0.5],
    ["6.5 %", 6.5],
    ["EUR 12", 12],
    ["123456789012345", 123456789012345],
    ["1234567890123456", "refused"],
    ["twelve", "refused"],
    ["1.2.3", "refused"],
    ["-", "refused"],
    ["", null],
  ])("reads %j", (text, value) => expect(typed(text, column("currency"))).toBe(value));

  it("reads the marks of the locale", () => {
    expect(typed("1.250.000,5", column("number"), german)).toBe(1250000.5);
    expect(typed("12 €", column("currency"), german)).toBe(12);
  });

  it("keeps to the column's bounds", () => {
    expect(typed("6", column("rating"))).toBe("refused");
    expect(typed("5", column("number", { min: 6 }))).toBe("refused");
  });

  it.each(["en-US", "de-DE", "fr-FR", "es-ES", "en-IN"])(
    "reads back what the editor shows in %s",
    (locale) => {
      const here = { ...american, locale };
      const exact = fc
        .tuple(fc.integer({ min: -999_999_999, max: 999_999_999 }), fc.integer({ min: 0, max: 6 }))
        .map(([n, scale]) => Number(`${n}e-${scale}`) + 0);
      fc.assert(
        fc.property(exact, (value) => {
          expect(typed(editText(value, column("number"), here), column("number"), here)).toBe(value);
        }),
      );
    },
  );
});

describe("dates", () => {
  it.each([
    ["2026-02-15", "2026-02-15"],
    ["2/15/2026", "2026-02-15"],
    ["2/15/26", "2026-02-15"],
    ["2/15", "2026-02-15"],
    ["today", "2026-03-04"],
    ["2026-02-30", "refused"],
    ["13/13/2026", "refused"],
    ["soon", "refused"],
  ])("reads %j", (text, value) => expect(typed(text, column("date"))).toBe(value));

  it("reads day and month in the locale's order", () => {
    expect(typed("15.2.2026", column("date"), german)).toBe("2026-02-15");
  });

  it.each([
    ["2026-02-15 14:30", "2026-02-15T19:30:00.000Z"],
    ["2/15/2026 2:30 pm", "2026-02-15T19:30:00.000Z"],
    ["2026-07-01 12 am", "2026-07-01T04:00:00.000Z"],
    ["2026-02-15", "2026-02-15T05:00:00.000Z"],
    ["2026-02-15T14:30:00Z", "2026-02-15T14:30:00.000Z"],
    ["2026-02-15 25:00", "refused"],
  ])("reads the time %j in the column's zone", (text, value) => {
    expect(typed(text, column("date_time", { time_zone: "America/New_York" }))).toBe(value);
  });

  it("reads back the times that the editor shows, in every zone", () => {
    const zone = fc.constantFrom("UTC", "America/New_York", "Asia/Kolkata", "Pacific/Auckland");
    const minute = fc.integer({ min: 0, max: 50_000_000 }).map((n) => n * 60_000);
    fc.assert(
      fc.property(zone, minute, (time_zone, instant) => {
        const of = column("date_time", { time_zone });
        const shown = editText(new Date(instant).toISOString(), of, american);
        const read = typed(shown, of);
        // The hour that is lived twice when clocks go back reads as one of the two.
        expect(editText(read, of, american)).toBe(shown);
      }),
    );
  });
});

describe("other values", () => {
  const choices = column("multi_select", { choices: [{ name: "Active" }, { name: "Sold" }] });

  it("knows choices whatever their case", () => {
    expect(typed("sold, ACTIVE, sold", choices)).toEqual(["Sold", "Active"]);
    expect(typed("lost", choices)).toBe("refused");
  });

  it("reads places and refuses impossible ones", () => {
    expect(typed("38.58, -121.49", column("location"))).toEqual({ lat: 38.58, lon: -121.49 });
    expect(typed("138, 0", column("location"))).toBe("refused");
  });

  it("doesn't clear a required cell", () => {
    expect(typed("  ", { ...column("text"), required: true })).toBe("refused");
  });

  it.each<[ColumnType, Value, string, ColumnOptions?]>([
    ["currency", 1250000, "$1,250,000", { currency: "USD" }],
    ["currency", 12.5, "€12.50", { currency: "EUR" }],
    ["currency", 12, "12 NOT A CODE", { currency: "NOT A CODE" }],
    ["number", 1984, "1984"],
    ["number", 12500, "12,500"],
    ["percent", 2.5, "2.5%"],
    ["rating", 3, "★★★"],
    ["checkbox", false, "No"],
    ["date", "2026-02-15", "Feb 15, 2026"],
    [
      "address",
      { line1: "1 Main St", city: "Davis", region: "CA", postal_code: "95616" },
      "1 Main St, Davis, CA 95616",
    ],
    ["location", { lat: 1.5, lon: -2 }, "1.5, -2"],
    ["user", ["u1", "u2"], "Ada, Someone"],
    ["link", [{ id: "1", title: "Oak St" }], "Oak St"],
    ["file", [{ id: "1", name: "plan.pdf" }], "plan.pdf"],
    ["multi_select", ["A", "B"], "A, B"],
    ["text", "<b>x</b>", "<b>x</b>"],
    ["formula", 1250000, "$1,250,000", { result: "currency", currency: "USD" }],
    ["rollup", "2026-02-15", "Feb 15, 2026", { result: "date" }],
    ["count", 3, "3", { result: "number" }],
    ["lookup", ["A", 2], "A, 2", { result: "list" }],
    ["formula", { error: "division_by_zero" }, "Division by zero", { result: "number" }],
    ["formula", { error: "not_known_yet" }, "not_known_yet", { result: "number" }],
  ])("shows %s %j as %j", (type, value, text, options) => {
    expect(displayText(value, column(type, options), american)).toBe(text);
  });

  it("makes links of web addresses alone", () => {
    expect(safeHref("https://example.com", column("url"))).toBe("https://example.com");
    expect(safeHref("javascript:alert(1)", column("url"))).toBeNull();
    expect(safeHref("data:text/html,x", column("url"))).toBeNull();
    expect(safeHref("https://example.com", column("text"))).toBeNull();
  });
});
