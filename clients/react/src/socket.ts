/** One WebSocket to the server that comes back by itself: hello, heartbeat, backing off. */
import type { ClientFrame, ServerFrame, Welcome } from "./frames.js";
import type { Link, LinkListener, LinkLoss } from "./link.js";

const SUBPROTOCOL = "coagent.v1";
const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 10_000;
/** An attempt that has brought no welcome by then is given up. */
const PATIENCE_MS = 10_000;
const LOSSES: { readonly [code: number]: LinkLoss } = { 4401: "unauthenticated", 4403: "forbidden" };

export type SocketOptions = {
  readonly url: string;
  readonly clientId: string;
  readonly token: () => Promise<string | undefined>;
  readonly WebSocket: typeof WebSocket;
};

export class Socket implements Link {
  #options: SocketOptions;
  #listener: LinkListener;
  #socket: WebSocket | null = null;
  #isOpen = false;
  #wants = true;
  #closed = false;
  #failures = 0;
  #retryAfter: number | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #heartbeat: ReturnType<typeof setInterval> | undefined;

  constructor(options: SocketOptions, listener: LinkListener) {
    this.#options = options;
    this.#listener = listener;
    globalThis.addEventListener?.("online", this.#hurry);
    this.#connect();
  }

  say(frame: ClientFrame): void {
    if (this.#isOpen) this.#socket?.send(JSON.stringify(frame));
  }

  setOnline(online: boolean): void {
    if (this.#wants === online || this.#closed) return;
    this.#wants = online;
    if (online) this.#hurry();
    else this.#drop("gone");
  }

  close(): void {
    this.#closed = true;
    globalThis.removeEventListener?.("online", this.#hurry);
    this.#drop("gone");
  }

  #hurry = (): void => {
    this.#failures = 0;
    if (!this.#socket) this.#connect();
  };

  #connect(): void {
    clearTimeout(this.#timer);
    if (this.#closed || !this.#wants) return;
    const socket = new this.#options.WebSocket(this.#options.url, SUBPROTOCOL);
    this.#socket = socket;
    this.#timer = setTimeout(() => this.#lose(socket, "gone"), PATIENCE_MS);
    socket.onopen = () => void this.#hello(socket);
    socket.onmessage = ({ data }) => this.#hear(socket, String(data));
    socket.onclose = ({ code }) => this.#lose(socket, LOSSES[code] ?? "gone");
    // A close follows, which says what there is to say.
    socket.onerror = () => undefined;
  }

  async #hello(socket: WebSocket): Promise<void> {
    try {
      const token = await this.#options.token();
      const hello: ClientFrame = { type: "hello", client_id: this.#options.clientId, protocol: 1, ...(token === undefined ? {} : { token }) };
      if (this.#socket === socket) socket.send(JSON.stringify(hello));
    } catch {
      // Without a credential nobody is let in; it is asked for again at the next attempt.
      this.#lose(socket, "unauthenticated");
    }
  }

  #hear(socket: WebSocket, text: string): void {
    if (this.#socket !== socket) return;
    this.#beat = true;
    const frame = JSON.parse(text) as ServerFrame;
    if (frame.type === "welcome") this.#open(socket, frame);
    else if (frame.type === "goaway") this.#retryAfter = frame.retry_ms;
    else if (frame.type !== "pong") this.#listener.heard(frame);
  }

  #open(socket: WebSocket, welcome: Welcome): void {
    clearTimeout(this.#timer);
    this.#failures = 0;
    this.#isOpen = true;
    this.#heartbeat = setInterval(() => {
      if (!this.#beat) return this.#lose(socket, "gone");
      this.#beat = false;
      this.say({ type: "ping" });
    }, welcome.heartbeat_ms);
    this.#listener.opened(welcome);
  }

  /** Whether anything was heard since the last heartbeat. */
  #beat = true;

  #lose(socket: WebSocket, loss: LinkLoss): void {
    if (this.#socket !== socket) return;
    this.#drop(loss);
    if (this.#closed || !this.#wants) return;
    const backoff = Math.min(FIRST_RETRY_MS * 2 ** this.#failures, LAST_RETRY_MS);
    this.#failures += 1;
    const wait = this.#retryAfter ?? backoff * (0.5 + Math.random() / 2);
    this.#retryAfter = null;
    this.#timer = setTimeout(() => this.#connect(), wait);
  }

  #drop(loss: LinkLoss): void {
    const socket = this.#socket;
    this.#socket = null;
    this.#isOpen = false;
    clearTimeout(this.#timer);
    clearInterval(this.#heartbeat);
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    this.#listener.lost(loss);
  }
}
