/** What tabs say to each other on their channel. */
import type { ClientFrame, ServerFrame, Welcome } from "../frames.js";
import type { LinkLoss } from "../link.js";

/** `era` names one connection of the leader's socket, so that nothing said on an older one is taken for this one. */
export type Word =
  | { readonly kind: "join" | "leave"; readonly tab: string }
  | { readonly kind: "say"; readonly tab: string; readonly era: string; readonly frame: ClientFrame }
  | { readonly kind: "leader" }
  | { readonly kind: "opened"; readonly tab: string; readonly era: string; readonly welcome: Welcome }
  | { readonly kind: "heard"; readonly tab: string; readonly era: string; readonly frame: ServerFrame }
  | { readonly kind: "lost"; readonly tab: string; readonly loss: LinkLoss };
