/** A cell at rest: its value, readably, by type. */
import { memo } from "react";
import type { Column, Value } from "../api/types";
import { hueOfChoice } from "../theme";
import { factsOf, shownAs } from "./column-types";
import { asArray, displayText, faultText, type Reader, safeHref } from "./format";
import classes from "./grid.module.css";

interface Props {
  value: Value | undefined;
  column: Column;
  reader: Reader;
}

export const CellView = memo(function CellView({ value, column: own, reader }: Props) {
  const fault = faultText(value);
  if (fault !== null) return <Fault text={fault} />;
  const column = shownAs(own);
  if (column.type === "checkbox") return <CheckMark checked={value === true} />;
  if (value === undefined || value === null) return null;
  if (column.type === "single_select" || column.type === "multi_select") {
    return <Chips values={asArray(value)} column={column} />;
  }
  if (column.type === "rating") return <Rating value={value} column={column} reader={reader} />;
  const text = displayText(value, column, reader);
  const href = safeHref(value, column);
  return (
    <>
      <span className={classes.text} data-align={factsOf(own).align}>
        {text}
      </span>
      {href && <Follow href={href} text={text} />}
    </>
  );
});

/** Why a computed cell has no value: seen at a glance, and not by colour alone. */
function Fault({ text }: { text: string }) {
  return (
    <span className={classes.fault} title={text}>
      <span aria-hidden="true">⚠ </span>
      {text}
    </span>
  );
}

/** The link beside the text, so that a click on the cell itself selects it. */
function Follow({ href, text }: { href: string; text: string }) {
  const outside = href.startsWith("http");
  return (
    <a
      className={classes.follow}
      href={href}
      tabIndex={-1}
      aria-label={`Open ${text}`}
      {...(outside ? { target: "_blank", rel: "noopener noreferrer" } : {})}
      onClick={(event) => event.stopPropagation()}
      onDoubleClick={(event) => event.stopPropagation()}
    >
      <svg viewBox="0 0 16 16" width="12" height="12" aria-hidden="true">
        <path d="M5 11 11 5M6.5 4.5H11.5V9.5" fill="none" stroke="currentColor" strokeWidth="1.6" />
      </svg>
    </a>
  );
}

function CheckMark({ checked }: { checked: boolean }) {
  return (
    <span className={classes.check} data-checked={checked} data-toggle>
      <span className={classes.hidden}>{checked ? "Yes" : "No"}</span>
      {checked && (
        <svg viewBox="0 0 16 16" width="12" height="12" aria-hidden="true">
          <path d="m3.5 8.5 3 3 6-7" fill="none" stroke="currentColor" strokeWidth="2.2" />
        </svg>
      )}
    </span>
  );
}

function Rating({ value, column, reader }: Props) {
  const most = column.options?.max ?? 5;
  return (
    <span className={classes.rating}>
      <span aria-hidden="true">{displayText(value, column, reader)}</span>
      <span className={classes.hidden}>{`${value} of ${most}`}</span>
    </span>
  );
}

function Chips({ values, column }: { values: readonly Value[]; column: Column }) {
  return (
    <span className={classes.chips}>
      {values.map((value) => (
        <Chip key={String(value)} name={String(value)} column={column} />
      ))}
    </span>
  );
}

export function Chip({ name, column }: { name: string; column: Column }) {
  const choices = column.options?.choices ?? [];
  const index = choices.findIndex((choice) => choice.name === name);
  const hue = index < 0 ? null : hueOfChoice(choices[index]?.color, index);
  const style = { "--hue": hue ?? 90, "--grey": hue === null ? 0.15 : 1 } as React.CSSProperties;
  return (
    <span className={classes.chip} style={style}>
      {name}
    </span>
  );
}
