/** A way to the server, whether a socket of one's own or one that tabs share. */
import type { ClientFrame, ServerFrame, Welcome } from "./frames.js";

export interface Link {
  /** Says something to the server; said to nobody while the link is not open. */
  say(frame: ClientFrame): void;
  /** Goes off line, or back, without being closed. */
  setOnline(online: boolean): void;
  close(): void;
}

export interface LinkListener {
  opened(welcome: Welcome): void;
  heard(frame: ServerFrame): void;
  /** It was open and is not any more, or could not be opened; it is tried again until the link is closed. */
  lost(code: LinkLoss): void;
}

export type LinkLoss = "gone" | "unauthenticated" | "forbidden";
