import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  plugins: [react()],
  // The package is linked and has a React of its own for its tests; a page has one, and one CopilotKit.
  resolve: { dedupe: ["react", "react-dom", "@copilotkit/react-core"] },
  server: { host: "127.0.0.1", port: 5173 },
  preview: { host: "127.0.0.1", port: 4173 },
  build: { chunkSizeWarningLimit: 4000 },
});
