import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  plugins: [react()],
  // The package is linked and has a React of its own for its tests; a page has one.
  resolve: { dedupe: ["react", "react-dom"] },
  server: { host: "127.0.0.1", port: 5174 },
});
