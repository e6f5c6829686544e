/** One client for everything below. */
import { createContext, createElement, type ReactNode, useContext, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { type ClientOptions, type ClientState, StateClient } from "../client.js";

const Context = createContext<StateClient | null>(null);

export type SharedStateProviderProps = ClientOptions & { readonly children?: ReactNode };

/** A change of `url` or `user` begins anew; other options count from the first. */
export function SharedStateProvider({ children, ...options }: SharedStateProviderProps): ReactNode {
  const { url, user } = options;
  return createElement(Lifetime, { key: `${url}|${user ?? ""}`, options }, children);
}

function Lifetime({ options, children }: { readonly options: ClientOptions; readonly children?: ReactNode }): ReactNode {
  const [client, setClient] = useState<StateClient | null>(null);
  const latest = useRef(options);
  latest.current = options;
  useEffect(() => {
    const { getToken } = options;
    const opened = new StateClient(getToken ? { ...options, getToken: () => (latest.current.getToken ?? getToken)() } : options);
    setClient(opened);
    return () => opened.close();
    // The options that make another client are in the key.
  }, []);
  return createElement(Context.Provider, { value: client }, children);
}

/** The client of the surrounding provider; `null` on a server and in the very first render. */
export function useStateClient(): StateClient | null {
  return useContext(Context);
}

const nothing = () => () => undefined;
const UNKNOWN: ClientState = { status: "connecting", pending: 0, error: null, isLeader: false };

/** How the surrounding provider's client is connected, and what waits. */
export function useClientState(): ClientState {
  const client = useStateClient();
  return useSyncExternalStore(client?.subscribe ?? nothing, client?.getSnapshot ?? (() => UNKNOWN), () => UNKNOWN);
}
