import react from "@vitejs/plugin-react";
import { loadEnv } from "vite";
import { defineConfig } from "vitest/config";

// In development the API is another process: everything that is not the client goes to it.
const server = loadEnv("development", ".", "API_").API_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  base: "/",
  plugins: [react()],
  server: {
    proxy: {
      "/api": { target: server, ws: true },
      "/auth": { target: server },
    },
  },
  build: { target: "es2023", sourcemap: false, assetsInlineLimit: 0 },
  test: { include: ["src/**/*.test.ts", "realtime/test/**/*.test.ts"], environment: "node" },
});
