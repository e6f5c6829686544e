/** The leader's side: the one socket, and the tabs whose channels it carries. */
import type { ClientFrame, ServerFrame, Welcome } from "../frames.js";
import type { Link, LinkListener, LinkLoss } from "../link.js";

/** How a tab is told. */
export interface Port {
  opened(era: string, welcome: Welcome): void;
  heard(era: string, frame: ServerFrame): void;
  lost(loss: LinkLoss): void;
}

type Tab = { readonly port: Port; readonly channels: Map<number, number> };

export class Hub {
  #open: (listener: LinkListener) => Link;
  #link: Link | null = null;
  #tabs = new Map<string, Tab>();
  /** Whose a channel of the socket is. */
  #routes = new Map<number, { readonly tab: Tab; readonly channel: number }>();
  #connection: { readonly era: string; readonly welcome: Welcome } | null = null;
  /** Why there is no connection, once one was tried. */
  #loss: LinkLoss | null = null;
  #lastChannel = 0;

  constructor(open: (listener: LinkListener) => Link) {
    this.#open = open;
  }

  join(name: string, port: Port): void {
    this.leave(name);
    this.#tabs.set(name, { port, channels: new Map() });
    if (!this.#link) this.#link = this.#open({ opened: this.#opened, heard: this.#heard, lost: this.#lost });
    else if (this.#connection) port.opened(this.#connection.era, this.#connection.welcome);
    else if (this.#loss) port.lost(this.#loss);
  }

  leave(name: string): void {
    const tab = this.#tabs.get(name);
    if (!tab) return;
    this.#tabs.delete(name);
    for (const wire of tab.channels.values()) {
      this.#routes.delete(wire);
      this.#link?.say({ type: "unsubscribe", channel: wire });
    }
    if (this.#tabs.size > 0) return;
    this.close();
  }

  say(name: string, era: string, frame: ClientFrame): void {
    const tab = this.#tabs.get(name);
    if (!tab || era !== this.#connection?.era || !("channel" in frame)) return;
    const wire = tab.channels.get(frame.channel) ?? this.#channelFor(tab, frame);
    if (wire === undefined) return;
    this.#link?.say({ ...frame, channel: wire });
    if (frame.type !== "unsubscribe") return;
    tab.channels.delete(frame.channel);
    this.#routes.delete(wire);
  }

  close(): void {
    const link = this.#link;
    this.#link = null;
    this.#connection = null;
    link?.close();
  }

  #channelFor(tab: Tab, frame: ClientFrame & { readonly channel: number }): number | undefined {
    if (frame.type !== "subscribe") return undefined;
    this.#lastChannel += 1;
    tab.channels.set(frame.channel, this.#lastChannel);
    this.#routes.set(this.#lastChannel, { tab, channel: frame.channel });
    return this.#lastChannel;
  }

  #opened = (welcome: Welcome): void => {
    this.#loss = null;
    this.#connection = { era: welcome.connection_id, welcome };
    for (const { port } of this.#tabs.values()) port.opened(welcome.connection_id, welcome);
  };

  #heard = (frame: ServerFrame): void => {
    if (!("channel" in frame) || frame.channel === undefined || !this.#connection) return;
    const route = this.#routes.get(frame.channel);
    route?.tab.port.heard(this.#connection.era, { ...frame, channel: route.channel });
  };

  #lost = (loss: LinkLoss): void => {
    this.#connection = null;
    this.#loss = loss;
    this.#routes.clear();
    for (const { port, channels } of this.#tabs.values()) {
      channels.clear();
      port.lost(loss);
    }
  };
}
