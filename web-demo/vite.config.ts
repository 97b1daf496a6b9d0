import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** While developing, the page comes from Vite and everything else from a server that runs already. */
const server = process.env.ENFILADE_URL ?? "http://127.0.0.1:7700";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    // Every asset is a file of its own: the page's policy allows no data: or inline sources.
    assetsInlineLimit: 0,
  },
  server: {
    proxy: {
      "/api": server,
      "/ws": { target: server, ws: true },
    },
  },
});
