/** Something is on its way. */
import { Center, Loader } from "@mantine/core";

export function Waiting() {
  return (
    <Center mih="60vh">
      <Loader size="sm" aria-label="Loading" />
    </Center>
  );
}
