/** The example of the README is example.ts, which the compiler checks with everything else. */
import { expect, it } from "vitest";
import example from "../example.ts?raw";
import readme from "../README.md?raw";

it("shows an example that compiles", () => {
  const [, shown] = /```ts\n([\s\S]*?)```/.exec(readme) ?? [];
  expect(shown).toBe(example);
  expect(example.trim().split("\n").length).toBeLessThanOrEqual(16);
});
