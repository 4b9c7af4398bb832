/** Who is signed in, and the way out. */
import { Avatar, Menu, Text, UnstyledButton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import * as resources from "../../api/resources";
import { signOut } from "../../api/session";

export function Account() {
  const { data: me } = useQuery({ queryKey: ["me"], queryFn: resources.me });
  const name = me?.user.display_name || me?.user.email || "";
  return (
    <Menu position="bottom-end" width={240} shadow="md">
      <Menu.Target>
        <UnstyledButton aria-label="Your account">
          <Avatar name={name} color="pine" size={32} radius="xl" />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          <Text size="sm" c="var(--mantine-color-text)" fw={600} truncate>
            {name}
          </Text>
          <Text size="xs" truncate>
            {me?.user.email}
          </Text>
        </Menu.Label>
        <Menu.Divider />
        <Menu.Item onClick={() => void signOut()}>Sign out</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
