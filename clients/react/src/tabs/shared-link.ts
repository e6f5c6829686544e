/** A link over the one socket that all tabs of a browser share: whoever holds the leader's lock has it, and the next one in line
 * takes over when that tab is gone. */
import type { ClientFrame, ServerFrame, Welcome } from "../frames.js";
import type { Link, LinkListener, LinkLoss } from "../link.js";
import { Hub, type Port } from "./hub.js";
import { holdLife, lifeOf, whenGranted } from "./locks.js";
import type { Word } from "./words.js";

export type TabOptions = {
  readonly scope: string;
  readonly tab: string;
  readonly openSocket: (listener: LinkListener) => Link;
  /** This tab has the socket from now on. */
  readonly onLeader: () => void;
  /** Told to the leader. */
  readonly onTabGone: (tab: string) => void;
};

export class SharedLink implements Link {
  #options: TabOptions;
  #listener: LinkListener;
  #words: BroadcastChannel;
  #hub: Hub | null = null;
  #era: string | null = null;
  #wants = true;
  #ended = new AbortController();

  constructor(options: TabOptions, listener: LinkListener) {
    this.#options = options;
    this.#listener = listener;
    this.#words = new BroadcastChannel(`coagent:${options.scope}`);
    this.#words.onmessage = ({ data }: MessageEvent<Word>) => this.#hear(data);
    void holdLife(options.scope, options.tab, this.#ended.signal).then(() => this.#enter());
  }

  say(frame: ClientFrame): void {
    if (this.#era === null) return;
    if (this.#hub) this.#hub.say(this.#options.tab, this.#era, frame);
    else this.#post({ kind: "say", tab: this.#options.tab, era: this.#era, frame });
  }

  setOnline(online: boolean): void {
    if (this.#wants === online) return;
    this.#wants = online;
    if (online) return this.#join();
    this.#leave();
    this.#own.lost("gone");
  }

  close(): void {
    this.#leave();
    this.#hub?.close();
    this.#era = null;
    this.#ended.abort();
    this.#words.close();
  }

  #enter(): void {
    if (this.#ended.signal.aborted) return;
    this.#join();
    void whenGranted(`coagent:leader:${this.#options.scope}`, this.#ended.signal, () => {
      this.#hub = new Hub(this.#options.openSocket);
      this.#era = null;
      this.#join();
      this.#post({ kind: "leader" });
      this.#options.onLeader();
    });
  }

  #join(): void {
    if (!this.#wants) return;
    if (this.#hub) this.#hub.join(this.#options.tab, this.#own);
    else this.#post({ kind: "join", tab: this.#options.tab });
  }

  #leave(): void {
    if (this.#hub) this.#hub.leave(this.#options.tab);
    else this.#post({ kind: "leave", tab: this.#options.tab });
  }

  #own: Port = {
    opened: (era: string, welcome: Welcome): void => {
      this.#era = era;
      this.#listener.opened(welcome);
    },
    heard: (era: string, frame: ServerFrame): void => {
      if (era === this.#era) this.#listener.heard(frame);
    },
    lost: (loss: LinkLoss): void => {
      this.#era = null;
      this.#listener.lost(loss);
    },
  };

  #hear(word: Word): void {
    switch (word.kind) {
      case "leader":
        if (this.#era !== null) this.#own.lost("gone");
        return this.#join();
      case "join":
        return this.#admit(word.tab);
      case "leave":
        return this.#hub?.leave(word.tab);
      case "say":
        return this.#hub?.say(word.tab, word.era, word.frame);
      case "opened":
        return this.#isMine(word.tab) ? this.#own.opened(word.era, word.welcome) : undefined;
      case "heard":
        return this.#isMine(word.tab) ? this.#own.heard(word.era, word.frame) : undefined;
      case "lost":
        return this.#isMine(word.tab) ? this.#own.lost(word.loss) : undefined;
    }
  }

  #isMine(tab: string): boolean {
    return tab === this.#options.tab && this.#wants && !this.#hub;
  }

  #admit(tab: string): void {
    const hub = this.#hub;
    if (!hub) return;
    hub.join(tab, {
      opened: (era, welcome) => this.#post({ kind: "opened", tab, era, welcome }),
      heard: (era, frame) => this.#post({ kind: "heard", tab, era, frame }),
      lost: (loss) => this.#post({ kind: "lost", tab, loss }),
    });
    void whenGranted(lifeOf(this.#options.scope, tab), this.#ended.signal, (release) => {
      hub.leave(tab);
      release();
      this.#options.onTabGone(tab);
    });
  }

  #post(word: Word): void {
    if (!this.#ended.signal.aborted) this.#words.postMessage(word);
  }
}
