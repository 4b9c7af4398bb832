/** Asks for what a new row can't be without. */
import { Button, Group, Modal, Select, Stack, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import type { Column, Value, Values } from "../../api/types";
import { parseText, type Writer } from "../../grid/parse";

interface Props {
  columns: readonly Column[];
  writer: Writer;
  onAdd: (values: Values) => void;
  onClose: () => void;
}

export function AddItem({ columns, writer, onAdd, onClose }: Props) {
  const [texts, setTexts] = useState<Record<string, string>>({});
  const [problems, setProblems] = useState<Record<string, string>>({});

  const submit = (event: FormEvent) => {
    event.preventDefault();
    const values: Record<string, Value> = {};
    const found: Record<string, string> = {};
    for (const column of columns) {
      const parsed = parseText(texts[column.key] ?? "", column, writer);
      if (parsed.ok) values[column.key] = parsed.value;
      else found[column.key] = parsed.message;
    }
    setProblems(found);
    if (Object.keys(found).length === 0) onAdd(values);
  };

  const fieldOf = (column: Column, index: number) => {
    const set = (text: string) => setTexts((now) => ({ ...now, [column.key]: text }));
    const common = {
      label: column.name,
      error: problems[column.key],
      "data-autofocus": index === 0 || undefined,
    };
    if (column.type !== "single_select") {
      return (
        <TextInput
          key={column.key}
          {...common}
          value={texts[column.key] ?? ""}
          onChange={(event) => set(event.currentTarget.value)}
        />
      );
    }
    return (
      <Select
        key={column.key}
        {...common}
        data={(column.options?.choices ?? []).map((choice) => choice.name)}
        value={texts[column.key] ?? null}
        onChange={(name) => set(name ?? "")}
        searchable
      />
    );
  };

  return (
    <Modal opened onClose={onClose} title="Add row" centered closeButtonProps={{ "aria-label": "Close" }}>
      <form onSubmit={submit} noValidate>
        <Stack gap="sm">
          {columns.map(fieldOf)}
          <Group justify="flex-end" gap="xs" mt="xs">
            <Button variant="subtle" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit">Add row</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
