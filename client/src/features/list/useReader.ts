/** How this person reads and writes values: the browser's locale, today's date, the names of colleagues. */
import { useMemo } from "react";
import type { Person } from "../../grid/editors";
import type { Reader } from "../../grid/format";
import type { Writer } from "../../grid/parse";

const locale = navigator.language;

export function useReader(people: readonly Person[]): { reader: Reader; writer: Writer } {
  const reader = useMemo<Reader>(() => {
    const names = new Map(people.map(({ id, name }) => [id, name]));
    return { locale, nameOf: (id) => names.get(id) ?? "Someone" };
  }, [people]);
  const today = new Intl.DateTimeFormat("sv-SE").format(new Date());
  const writer = useMemo<Writer>(() => ({ locale, today }), [today]);
  return { reader, writer };
}
