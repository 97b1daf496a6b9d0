import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: {
    // The built WASM and its glue, to the TypeScript beside it.
    alias: [
      { find: /^\.\.?\/bindgen\//, replacement: fileURLToPath(new URL("dist/bindgen/", import.meta.url)) },
    ],
  },
  test: {
    include: ["ts/tests/*.test.{ts,tsx}"],
    environment: "jsdom",
    restoreMocks: true,
  },
});
