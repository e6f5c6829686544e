/** Serves the built example page from 127.0.0.1, on a port that is not the runtime's: every request of the page is cross-origin. */
import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";

const dist = path.resolve(import.meta.dirname, "../../examples/copilotkit-react/dist");
const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2" };

export async function servePage() {
  if (!existsSync(path.join(dist, "index.html"))) {
    throw new Error("the example page is not built: run `npm ci && npm run build` in examples/copilotkit-react");
  }
  const server = createServer((request, response) => {
    const wanted = new URL(request.url, "http://page").pathname;
    const file = path.join(dist, path.normalize(wanted === "/" ? "/index.html" : wanted));
    if (!file.startsWith(dist) || !existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": types[path.extname(file)] ?? "application/octet-stream" });
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    stop: () => new Promise((resolve) => {
      server.closeAllConnections();
      server.close(resolve);
    }),
  };
}
