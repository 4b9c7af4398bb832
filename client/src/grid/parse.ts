/** What people type, as values. Pure. The server checks again; this is to say at once what it would refuse. */
import type { Column, Value } from "../api/types";

export type Parsed = { ok: true; value: Value } | { ok: false; message: string };

export interface Writer {
  /** BCP 47: decides the decimal mark and the order of day and month. */
  locale: string;
  /** Today, as `YYYY-MM-DD`. */
  today: string;
}

const MOST_DIGITS = 15;

/** Reads the text of an editor; empty text clears the cell. */
export function parseText(text: string, column: Column, writer: Writer): Parsed {
  const trimmed = text.trim();
  if (trimmed === "") return column.required ? no("This can't be empty") : yes(null);
  switch (column.type) {
    case "number":
    case "currency":
    case "percent":
    case "rating":
      return parseNumber(trimmed, column, writer.locale);
    case "checkbox":
      return parseCheckbox(trimmed);
    case "date":
      return parseDate(trimmed, writer);
    case "date_time":
      return parseDateTime(trimmed, column.options?.time_zone, writer);
    case "location":
      return parseLocation(trimmed);
    case "single_select":
      return parseChoice(trimmed, column);
    case "multi_select":
      return parseChoices(trimmed, column);
    case "url":
      return yes(/^[a-z][a-z\d+.-]*:/i.test(trimmed) ? trimmed : `https://${trimmed}`);
    case "email":
      return /^\S+@\S+$/.test(trimmed) ? yes(trimmed) : no("This isn't an e-mail address");
    case "text":
    case "long_text":
      return parseString(text, column);
    default:
      return yes(trimmed);
  }
}

const yes = (value: Value): Parsed => ({ ok: true, value });
const no = (message: string): Parsed => ({ ok: false, message });

function parseString(text: string, column: Column): Parsed {
  const longest = column.options?.max_length;
  if (longest !== undefined && [...text].length > longest) return no(`At most ${longest} characters fit`);
  return yes(text);
}

/** `1,250,000`, `$450k`, `1.2m`, `(500)`, `6.5 %`; marks as the locale writes them. */
function parseNumber(text: string, column: Column, locale: string): Parsed {
  const { group, decimal } = marksOf(locale);
  const negative = /^\(.*\)$/.test(text) || /^[^\d(]*[-−]/.test(text);
  const bare = text
    .replace(/[\s()%−\p{Sc}-]/gu, "")
    .replaceAll(group, "")
    .replace(/^[A-Z]{3}|[A-Z]{3}$/g, "");
  const match = /^(\d*)(?:(.)(\d+))?([km]?)$/i.exec(bare);
  if (!match || (match[2] && match[2] !== decimal) || !(match[1] || match[3]))
    return no("This isn't a number");
  const scale = { k: 3, m: 6 }[match[4]?.toLowerCase() ?? ""] ?? 0;
  const plain = `${match[1] || "0"}.${match[3] ?? ""}`;
  const digits = plain.replace(".", "").replace(/^0+|0+$/g, "").length;
  if (digits > MOST_DIGITS) return no(`At most ${MOST_DIGITS} digits are kept exactly`);
  const value = Number(`${negative ? "-" : ""}${plain}e${scale}`);
  return withinRange(value === 0 ? 0 : value, column);
}

function withinRange(value: number, column: Column): Parsed {
  const { min, max } = column.options ?? {};
  const least = min ?? (column.type === "rating" ? 0 : undefined);
  const most = max ?? (column.type === "rating" ? 5 : undefined);
  if (least !== undefined && value < least) return no(`At least ${least}`);
  if (most !== undefined && value > most) return no(`At most ${most}`);
  return yes(value);
}

function marksOf(locale: string): { group: string; decimal: string } {
  const parts = new Intl.NumberFormat(locale).formatToParts(1_234_567.8);
  const mark = (type: string) => parts.find((part) => part.type === type)?.value;
  return { group: mark("group") ?? ",", decimal: mark("decimal") ?? "." };
}

function parseCheckbox(text: string): Parsed {
  if (/^(yes|y|true|1|x|✓)$/i.test(text)) return yes(true);
  if (/^(no|n|false|0)$/i.test(text)) return yes(false);
  return no("Type yes or no");
}

/** ISO, `today`, or day, month and year in the locale's order. */
function parseDate(text: string, { locale, today }: Writer): Parsed {
  if (/^today$/i.test(text)) return yes(today);
  const iso = /^(\d{4})-(\d{1,2})-(\d{1,2})$/.exec(text);
  if (iso) return calendarDate(Number(iso[1]), Number(iso[2]), Number(iso[3]));
  const numbers = /^(\d{1,4})[./\-\s](\d{1,2})(?:[./\-\s](\d{2,4}))?$/.exec(text);
  if (!numbers) return no(`Type a date like ${today}`);
  const [first, second] = [Number(numbers[1]), Number(numbers[2])];
  const year = numbers[3] ? fullYear(numbers[3]) : Number(today.slice(0, 4));
  const dayFirst = datePartsOf(locale).indexOf("day") < datePartsOf(locale).indexOf("month");
  return dayFirst ? calendarDate(year, second, first) : calendarDate(year, first, second);
}

function datePartsOf(locale: string): string[] {
  return new Intl.DateTimeFormat(locale).formatToParts(new Date(0)).map((part) => part.type);
}

function fullYear(digits: string): number {
  return digits.length === 2 ? 2000 + Number(digits) : Number(digits);
}

function calendarDate(year: number, month: number, day: number): Parsed {
  const date = new Date(Date.UTC(year, month - 1, day));
  const exists =
    date.getUTCMonth() === month - 1 && date.getUTCDate() === day && year >= 1000 && year <= 9999;
  return exists ? yes(date.toISOString().slice(0, 10)) : no("There is no such day");
}

/** A date, then a time as `14:30` or `2:30 pm`; without one, midnight. In the column's zone, else the browser's. */
function parseDateTime(text: string, timeZone: string | undefined, writer: Writer): Parsed {
  if (/T.*(Z|[+-]\d\d:\d\d)$/i.test(text)) {
    const exact = new Date(text);
    return Number.isNaN(exact.getTime()) ? no("This isn't a time") : yes(exact.toISOString());
  }
  const match = /^(.*?)(?:[,\sT]+(\d{1,2})(?::(\d{2}))?\s*(am|pm)?)?$/i.exec(text);
  // A bare date such as `3/4 26` must not lose its year to the time.
  const alone = parseDate(text, writer);
  const date = alone.ok ? alone : parseDate(match?.[1] ?? "", writer);
  if (!date.ok) return no(`Type a day and a time like ${writer.today} 14:30`);
  const time = alone.ok ? { hour: 0, minute: 0 } : clockTime(match?.[2], match?.[3], match?.[4]);
  if (!time) return no("There is no such time");
  return yes(zonedInstant(String(date.value), time.hour, time.minute, timeZone));
}

function clockTime(hours = "0", minutes = "0", half = ""): { hour: number; minute: number } | null {
  const minute = Number(minutes);
  let hour = Number(hours);
  if (half && (hour < 1 || hour > 12)) return null;
  if (/pm/i.test(half) && hour < 12) hour += 12;
  if (/am/i.test(half) && hour === 12) hour = 0;
  return hour < 24 && minute < 60 ? { hour, minute } : null;
}

/** The instant at which clocks in the zone show that wall time. */
function zonedInstant(date: string, hour: number, minute: number, timeZone: string | undefined): string {
  const wall = Date.parse(`${date}T${pad(hour)}:${pad(minute)}:00Z`);
  // The offset depends on the instant, so a first guess is corrected once: enough except within a clock change.
  const guess = wall - offsetAt(wall, timeZone);
  return new Date(wall - offsetAt(guess, timeZone)).toISOString();
}

function offsetAt(instant: number, timeZone: string | undefined): number {
  const zone = timeZone ? { timeZone } : {};
  const options = { dateStyle: "short", timeStyle: "medium", hourCycle: "h23", ...zone } as const;
  const wall = new Intl.DateTimeFormat("sv-SE", options).format(new Date(instant));
  return Date.parse(`${wall.replace(" ", "T")}Z`) - Math.floor(instant / 1000) * 1000;
}

const pad = (n: number) => String(n).padStart(2, "0");

function parseLocation(text: string): Parsed {
  const match = /^(-?\d+(?:\.\d+)?)\s*[,;\s]\s*(-?\d+(?:\.\d+)?)$/.exec(text);
  if (!match) return no("Type latitude and longitude, like 38.58, -121.49");
  const [lat, lon] = [Number(match[1]), Number(match[2])];
  if (Math.abs(lat) > 90 || Math.abs(lon) > 180) return no("There is no such place on earth");
  return yes({ lat, lon });
}

function parseChoice(text: string, column: Column): Parsed {
  const wanted = text.toLowerCase();
  const found = column.options?.choices?.find((choice) => choice.name.toLowerCase() === wanted);
  return found ? yes(found.name) : no(`“${text}” isn't one of the choices`);
}

function parseChoices(text: string, column: Column): Parsed {
  const names: string[] = [];
  for (const part of text
    .split(",")
    .map((one) => one.trim())
    .filter(Boolean)) {
    const parsed = parseChoice(part, column);
    if (!parsed.ok) return parsed;
    names.push(String(parsed.value));
  }
  return yes([...new Set(names)]);
}
