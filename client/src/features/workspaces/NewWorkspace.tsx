/** Starts a workspace: a name, and whether it begins with the real-estate lists. */
import { Alert, Button, Checkbox, Group, Modal, Stack, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useLocation } from "wouter";
import * as resources from "../../api/resources";

interface Props {
  opened: boolean;
  onClose: () => void;
}

export function NewWorkspace({ opened, onClose }: Props) {
  const [name, setName] = useState("");
  const [withLists, setWithLists] = useState(true);
  const [, go] = useLocation();
  const queries = useQueryClient();
  const create = useMutation({
    mutationFn: () => resources.createWorkspace(name.trim(), withLists ? "real_estate" : null),
    onSuccess: async (workspace) => {
      await queries.invalidateQueries({ queryKey: ["me"] });
      onClose();
      go(`/w/${workspace.id}`);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim()) create.mutate();
  };

  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title="New workspace"
      centered
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <form onSubmit={submit}>
        <Stack gap="md">
          {create.error && (
            <Alert color="red" role="alert" variant="light" p="xs">
              {create.error.message}
            </Alert>
          )}
          <TextInput
            label="Name"
            placeholder="Your team or agency"
            data-autofocus
            required
            withAsterisk={false}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
          />
          <Checkbox
            checked={withLists}
            onChange={(event) => setWithLists(event.currentTarget.checked)}
            label="Begin with the real-estate lists"
            description="Contacts, Properties, Deals and Showings, ready to be filled"
          />
          <Group justify="flex-end" gap="xs">
            <Button variant="subtle" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={create.isPending}>
              Create workspace
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
