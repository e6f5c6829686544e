/** A network between a client and the server that can be slow, or cut. */
import { connect, createServer, type Socket } from "node:net";

export type Network = {
  readonly origin: string;
  /** Each piece takes this long, in either direction. */
  delay(ms: number): void;
  /** Ends what is open and lets nothing through. */
  cut(): void;
  /** Lets what the client says through, but no answer, until it is cut. */
  muteServer(): void;
  heal(): void;
  close(): Promise<void>;
};

export async function networkTo(origin: string): Promise<Network> {
  const { hostname, port } = new URL(origin);
  const sockets = new Set<Socket>();
  let [delay, isCut, isMute] = [0, false, false];
  const server = createServer((client) => {
    if (isCut) return void client.destroy();
    const upstream = connect(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
      // A cut connection ends in an error that its other end shall see.
      socket.on("error", () => socket.destroy());
    }
    client.on("data", (piece) => setTimeout(() => upstream.write(piece), delay));
    upstream.on("data", (piece) => setTimeout(() => isMute || client.write(piece), delay));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server has a port");
  const cut = () => {
    isCut = true;
    for (const socket of sockets) socket.destroy();
  };
  return {
    origin: `http://127.0.0.1:${address.port}`,
    delay: (ms) => void (delay = ms),
    cut,
    muteServer: () => void (isMute = true),
    heal: () => void ([isCut, isMute] = [false, false]),
    close: () => {
      cut();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
