/** Values as people read them. Pure: the locale and the people come in as arguments. */
import type { Address, Column, Location, Value } from "../api/types";
import { shownAs } from "./column-types";

export interface Reader {
  /** BCP 47, e.g. `en-US`. */
  locale: string;
  /** The display name of a user id. */
  nameOf(id: string): string;
}

/** The text of a cell; empty for an empty cell. */
export function displayText(value: Value | undefined, column: Column, reader: Reader): string {
  if (value === undefined || value === null) return "";
  return faultText(value) ?? textOf(value, shownAs(column), reader);
}

/** Why a computed cell has no value, in words; `null` of any other cell. */
export function faultText(value: Value | undefined): string | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const { error } = value as { error?: unknown };
  return typeof error === "string" ? (FAULTS[error] ?? error) : null;
}

const FAULTS: Readonly<Record<string, string>> = {
  division_by_zero: "Division by zero",
  out_of_range: "Number too large",
  not_a_number: "Not a number",
  not_a_date: "Not a date",
  too_long: "Too long",
  bad_argument: "Wrong argument",
  missing_column: "A column is missing",
  wrong_type: "Wrong type",
  too_many_links: "Too many links",
};

function textOf(value: Value, column: Column, reader: Reader): string {
  const options = column.options ?? {};
  switch (column.type) {
    case "currency":
      return typeof value === "number" ? currencyText(value, column, reader) : plainText(value);
    case "percent":
      return typeof value === "number" ? `${numberText(value, column, reader)}%` : plainText(value);
    case "rating":
      return typeof value === "number"
        ? "★".repeat(Math.max(0, Math.min(10, Math.round(value))))
        : plainText(value);
    case "checkbox":
      return value === true ? "Yes" : "No";
    case "date":
      return typeof value === "string" ? dateText(value, reader) : plainText(value);
    case "date_time":
    case "created_at":
    case "updated_at":
      return typeof value === "string" ? timeText(value, options.time_zone, reader) : plainText(value);
    case "multi_select":
      return Array.isArray(value) ? value.map(plainText).join(", ") : plainText(value);
    case "address":
      return addressText(value);
    case "location":
      return isLocation(value) ? `${value.lat}, ${value.lon}` : plainText(value);
    case "user":
    case "created_by":
    case "updated_by":
      return asArray(value)
        .map((id) => reader.nameOf(plainText(id)))
        .join(", ");
    case "file":
    case "link":
      return asArray(value).map(titleText).join(", ");
    default:
      return typeof value === "number" ? numberText(value, column, reader) : plainText(value);
  }
}

/** The text that an editor starts with: what `parseText` reads back as the same value. */
export function editText(value: Value | undefined, column: Column, reader: Reader): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "number") return localNumber(value, reader.locale);
  if (column.type === "date_time" && typeof value === "string") {
    return zonedText(value, column.options?.time_zone);
  }
  if (column.type === "location" && isLocation(value)) return `${value.lat}, ${value.lon}`;
  return typeof value === "string" ? value : displayText(value, column, reader);
}

export function asArray(value: Value | undefined): readonly Value[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}

function numberText(value: number, column: Column, { locale }: Reader): string {
  const precision = column.options?.precision;
  // Numbers such as a year read badly with separators unless they are large.
  const useGrouping =
    column.type !== "auto_number" && (Math.abs(value) >= 10_000 || column.type !== "number");
  const digits =
    precision === undefined
      ? { maximumFractionDigits: 10 }
      : { minimumFractionDigits: precision, maximumFractionDigits: precision };
  return new Intl.NumberFormat(locale, { useGrouping, ...digits }).format(value);
}

function currencyText(value: number, column: Column, { locale }: Reader): string {
  const digits = column.options?.precision ?? (Number.isInteger(value) ? 0 : 2);
  const format: Intl.NumberFormatOptions = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  const currency = column.options?.currency;
  if (currency) Object.assign(format, { style: "currency", currency, currencyDisplay: "narrowSymbol" });
  try {
    return new Intl.NumberFormat(locale, format).format(value);
  } catch {
    // A currency code that this browser doesn't know.
    return `${value} ${currency ?? ""}`.trim();
  }
}

function localNumber(value: number, locale: string): string {
  return new Intl.NumberFormat(locale, { useGrouping: false, maximumFractionDigits: 15 }).format(value);
}

function dateText(value: string, { locale }: Reader): string {
  const date = new Date(`${value}T00:00:00Z`);
  if (Number.isNaN(date.getTime())) return value;
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeZone: "UTC" }).format(date);
}

function timeText(value: string, timeZone: string | undefined, { locale }: Reader): string {
  const date = new Date(value);
  if (Number.isNaN(date.getTime())) return value;
  return new Intl.DateTimeFormat(locale, {
    dateStyle: "medium",
    timeStyle: "short",
    ...(timeZone ? { timeZone } : {}),
  }).format(date);
}

/** `2026-02-15 14:30` in the zone, whatever the locale. */
function zonedText(value: string, timeZone: string | undefined): string {
  const date = new Date(value);
  if (Number.isNaN(date.getTime())) return value;
  const zone = timeZone ? { timeZone } : {};
  const options = { dateStyle: "short", timeStyle: "short", hourCycle: "h23", ...zone } as const;
  return new Intl.DateTimeFormat("sv-SE", options).format(date);
}

function addressText(value: Value): string {
  if (typeof value !== "object" || value === null) return plainText(value);
  const { line1, line2, city, region, postal_code, country } = value as Address;
  const state = [region, postal_code].filter(Boolean).join(" ");
  return [line1, line2, city, state, country].filter(Boolean).join(", ");
}

function isLocation(value: Value): value is Value & Location & { readonly [key: string]: unknown } {
  return typeof value === "object" && value !== null && "lat" in value && "lon" in value;
}

function titleText(value: Value): string {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return plainText(value);
  const { title, name } = value as { title?: unknown; name?: unknown };
  return String(title ?? name ?? "");
}

function plainText(value: Value): string {
  if (value === null) return "";
  if (typeof value === "boolean") return value ? "Yes" : "No";
  if (Array.isArray(value)) return value.map(plainText).join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Only web addresses become links: anything else in a link could run code. */
export function safeHref(value: Value | undefined, column: Column): string | null {
  if (typeof value !== "string" || value === "") return null;
  if (column.type === "email") return `mailto:${value}`;
  if (column.type === "phone") return `tel:${value.replace(/[^\d+]/g, "")}`;
  if (column.type !== "url") return null;
  return /^https?:\/\//i.test(value) ? value : null;
}
