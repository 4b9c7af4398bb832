/**
 * The editors, one a kind of value. Each takes the value, and ends in exactly one `onDone`: with a value to
 * write, or with nothing; `move` says which key ended it, so that the grid can go on from there.
 */
import { Button, Combobox, Group, Popover, Stack, Textarea, TextInput, useCombobox } from "@mantine/core";
import { type KeyboardEvent, type ReactNode, useEffect, useRef, useState } from "react";
import type { Address, Column, Value } from "../api/types";
import { Chip } from "./CellView";
import { factsOf } from "./column-types";
import { asArray, displayText, editText, type Reader } from "./format";
import classes from "./grid.module.css";
import { parseText, type Writer } from "./parse";

export interface Person {
  id: string;
  name: string;
}

export type Move = "down" | "right" | "left" | "stay";

export interface EditorProps {
  column: Column;
  value: Value | undefined;
  /** What was typed to open the editor, in place of the present text. */
  typed: string | null;
  reader: Reader;
  writer: Writer;
  people: readonly Person[];
  /** Only to be read: by this person, or by anybody. */
  readOnly: boolean;
  onDone: (result: { value: Value } | null, move: Move) => void;
}

export function Editor(given: EditorProps) {
  // Escape, a click outside and the loss of focus may all report the same end: the first one counts.
  const ended = useRef(false);
  const onDone: EditorProps["onDone"] = (result, move) => {
    if (ended.current) return;
    ended.current = true;
    given.onDone(result, move);
  };
  const props = { ...given, onDone };
  if (props.readOnly) return <Reading {...props} />;
  switch (factsOf(props.column).editor) {
    case "line":
      return <LineEditor {...props} />;
    case "text":
      return <TextEditor {...props} />;
    case "choice":
      return <ChoiceEditor {...props} options={choicesOf(props.column)} multiple={false} />;
    case "choices":
      return <ChoiceEditor {...props} options={choicesOf(props.column)} multiple />;
    case "people":
      return (
        <ChoiceEditor
          {...props}
          options={peopleOf(props)}
          multiple={props.column.options?.multiple === true}
        />
      );
    case "address":
      return <AddressEditor {...props} />;
    default:
      return <Reading {...props} />;
  }
}

/** A whole value to read, for cells that can't be edited and don't fit. */
function Reading({ column, value, reader, onDone }: EditorProps) {
  return (
    <Sheet label={column.name} onCancel={() => onDone(null, "stay")} width={320}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: long text is scrolled with the keyboard */}
      <div className={classes.reading} tabIndex={0} data-autofocus role="document">
        {displayText(value, column, reader) || "Empty"}
      </div>
    </Sheet>
  );
}

function LineEditor({ column, value, typed, reader, writer, onDone }: EditorProps) {
  const [text, setText] = useState(typed ?? editText(value, column, reader));
  const [problem, setProblem] = useState<string | null>(null);
  const input = useRef<HTMLInputElement>(null);

  useEffect(() => {
    input.current?.focus({ preventScroll: true });
    if (typed === null) input.current?.select();
  }, [typed]);

  const commit = (move: Move, leaving: boolean) => {
    if (typed === null && text === editText(value, column, reader)) return onDone(null, move);
    const parsed = parseText(text, column, writer);
    if (parsed.ok) return onDone({ value: parsed.value }, move);
    // Focus that has gone elsewhere can't be held back: what can't be read is dropped.
    if (leaving) return onDone(null, move);
    setProblem(parsed.message);
  };

  return (
    <>
      <input
        ref={input}
        className={classes.line}
        data-align={factsOf(column).align}
        data-invalid={problem !== null}
        aria-label={column.name}
        aria-invalid={problem !== null}
        aria-describedby={problem ? "cell-problem" : undefined}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setProblem(null);
        }}
        onKeyDown={(event) => {
          event.stopPropagation();
          const move = moveOf(event);
          if (event.key === "Escape") onDone(null, "stay");
          else if (move) {
            event.preventDefault();
            commit(move, false);
          }
        }}
        onBlur={() => commit("stay", true)}
      />
      {problem && (
        <div id="cell-problem" role="alert" className={classes.problem}>
          {problem}
        </div>
      )}
    </>
  );
}

function moveOf(event: KeyboardEvent): Move | null {
  if (event.nativeEvent.isComposing) return null;
  if (event.key === "Enter" && !event.shiftKey) return "down";
  if (event.key === "Tab") return event.shiftKey ? "left" : "right";
  return null;
}

function TextEditor({ column, value, typed, writer, onDone }: EditorProps) {
  const before = typeof value === "string" ? value : "";
  const [text, setText] = useState(typed ?? before);
  const [problem, setProblem] = useState<string | null>(null);
  const commit = (move: Move) => {
    if (text === before) return onDone(null, move);
    const parsed = parseText(text, column, writer);
    if (parsed.ok) onDone({ value: parsed.value }, move);
    else setProblem(parsed.message);
  };
  return (
    <Sheet
      label={column.name}
      onLeave={() => commit("stay")}
      onCancel={() => onDone(null, "stay")}
      width={380}
    >
      <Textarea
        aria-label={column.name}
        data-autofocus
        autosize
        minRows={4}
        maxRows={14}
        value={text}
        error={problem}
        description="Enter saves · Shift + Enter starts a new line"
        inputWrapperOrder={["input", "error", "description"]}
        onChange={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          const move = moveOf(event);
          if (!move) return;
          event.preventDefault();
          commit(move);
        }}
      />
    </Sheet>
  );
}

interface Option {
  value: string;
  label: string;
  view: ReactNode;
}

function choicesOf(column: Column): Option[] {
  return (column.options?.choices ?? []).map(({ name }) => ({
    value: name,
    label: name,
    view: <Chip name={name} column={column} />,
  }));
}

function peopleOf({ people }: EditorProps): Option[] {
  return people.map(({ id, name }) => ({ value: id, label: name, view: name }));
}

function ChoiceEditor(props: EditorProps & { options: Option[]; multiple: boolean }) {
  const { column, value, typed, onDone, options, multiple } = props;
  const [search, setSearch] = useState(typed ?? "");
  const [picked, setPicked] = useState(() => asArray(value).map(String));
  const changed = useRef(false);
  const combobox = useCombobox({ opened: true, onOpenedChange: (opened) => !opened && close("stay") });
  const shown = options.filter((option) => option.label.toLowerCase().includes(search.trim().toLowerCase()));

  // biome-ignore lint/correctness/useExhaustiveDependencies: the first match is offered whenever the search changes
  useEffect(() => {
    combobox.selectFirstOption();
  }, [search]);

  const written = (names: string[]): Value => {
    if (names.length === 0) return null;
    return multiple ? names : (names[0] ?? null);
  };
  const close = (move: Move) => onDone(changed.current ? { value: written(picked) } : null, move);
  const pick = (name: string) => {
    if (!multiple) return onDone({ value: name }, "stay");
    changed.current = true;
    setPicked((now) => (now.includes(name) ? now.filter((one) => one !== name) : [...now, name]));
  };
  const clearable = !multiple && picked.length > 0 && !column.required;

  return (
    <Combobox
      store={combobox}
      onOptionSubmit={(name) => (name === "" ? onDone({ value: null }, "stay") : pick(name))}
      width={240}
      position="bottom-start"
      shadow="md"
      offset={2}
    >
      <Combobox.DropdownTarget>
        <span className={classes.anchor} />
      </Combobox.DropdownTarget>
      <Combobox.Dropdown onKeyDown={(event) => event.stopPropagation()}>
        <div role="dialog" aria-label={column.name}>
          <Combobox.Search
            ref={focusQuietly}
            aria-label={`Find a value for ${column.name}`}
            placeholder="Find…"
            value={search}
            onChange={(event) => setSearch(event.currentTarget.value)}
            onKeyDownCapture={(event) => {
              if (event.key === "Escape") onDone(null, "stay");
              if (event.key !== "Tab") return;
              event.preventDefault();
              close(event.shiftKey ? "left" : "right");
            }}
          />
          <Combobox.Options className={classes.options} aria-label={column.name}>
            {shown.map((option) => (
              <Combobox.Option key={option.value} value={option.value} active={picked.includes(option.value)}>
                <Group gap="xs" justify="space-between" wrap="nowrap">
                  {option.view}
                  {picked.includes(option.value) && <span aria-hidden="true">✓</span>}
                </Group>
              </Combobox.Option>
            ))}
            {shown.length === 0 && <Combobox.Empty>Nothing by that name</Combobox.Empty>}
            {clearable && search === "" && (
              <Combobox.Option value="" className={classes.clear}>
                Clear
              </Combobox.Option>
            )}
          </Combobox.Options>
        </div>
      </Combobox.Dropdown>
    </Combobox>
  );
}

/** Takes the focus without the page scrolling to a panel that isn't placed yet. */
function focusQuietly(element: HTMLElement | null): void {
  element?.focus({ preventScroll: true });
}

const ADDRESS_PARTS: readonly [keyof Address, string][] = [
  ["line1", "Street"],
  ["line2", "Unit"],
  ["city", "City"],
  ["region", "State or region"],
  ["postal_code", "Postal code"],
  ["country", "Country"],
];

function AddressEditor({ column, value, typed, onDone }: EditorProps) {
  const before = (typeof value === "object" && value !== null ? value : {}) as Address;
  const [parts, setParts] = useState<Address>(typed === null ? before : { ...before, line1: typed });
  const save = () => {
    const filled = Object.fromEntries(Object.entries(parts).filter(([, text]) => text?.trim()));
    onDone({ value: Object.keys(filled).length === 0 ? null : filled }, "stay");
  };
  return (
    <Sheet label={column.name} onLeave={save} onCancel={() => onDone(null, "stay")} width={320}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          save();
        }}
      >
        <Stack gap="xs">
          {ADDRESS_PARTS.map(([part, label], index) => (
            <TextInput
              key={part}
              label={label}
              size="xs"
              data-autofocus={index === 0 || undefined}
              value={parts[part] ?? ""}
              onChange={(event) => {
                const text = event.currentTarget.value;
                setParts((now) => ({ ...now, [part]: text }));
              }}
            />
          ))}
          <Group justify="flex-end" gap="xs" mt={4}>
            <Button size="xs" variant="subtle" onClick={() => onDone(null, "stay")}>
              Cancel
            </Button>
            <Button size="xs" type="submit">
              Save
            </Button>
          </Group>
        </Stack>
      </form>
    </Sheet>
  );
}

interface SheetProps {
  label: string;
  /** Pixels. */
  width: number;
  onCancel: () => void;
  /** A click outside; cancels where nothing else is said. */
  onLeave?: () => void;
  children: ReactNode;
}

/** A panel under the cell. */
function Sheet({ label, width, onCancel, onLeave, children }: SheetProps) {
  return (
    <Popover
      opened
      trapFocus
      withRoles={false}
      closeOnEscape={false}
      width={width}
      position="bottom-start"
      shadow="md"
      offset={2}
      onChange={(opened) => !opened && (onLeave ?? onCancel)()}
    >
      <Popover.Target>
        <span className={classes.anchor} />
      </Popover.Target>
      <Popover.Dropdown
        p="sm"
        role="dialog"
        aria-label={label}
        onKeyDown={(event) => {
          event.stopPropagation();
          if (event.key === "Escape") onCancel();
        }}
      >
        {children}
      </Popover.Dropdown>
    </Popover>
  );
}
