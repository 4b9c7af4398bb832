/** An address that leads nowhere, or nowhere for this person. */
import { Button, Center, Stack, Text, Title } from "@mantine/core";
import { Link } from "wouter";

interface Props {
  title?: string;
  children?: string;
}

export function NotHere({ title = "There is nothing here", children }: Props) {
  return (
    <Center mih="70vh" p="lg">
      <Stack align="center" gap="xs" maw={420} ta="center">
        <Title order={1} size="h3">
          {title}
        </Title>
        <Text c="dimmed">
          {children ?? "The address may be mistyped, or what was here is no longer shared with you."}
        </Text>
        <Button component={Link} href="/" variant="light" mt="sm">
          Go to your workspaces
        </Button>
      </Stack>
    </Center>
  );
}
