import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { include: ["e2e/*.test.ts"], environment: "node", testTimeout: 20_000 },
});
