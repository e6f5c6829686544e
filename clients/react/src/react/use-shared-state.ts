/** A document as state of a component. */
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import type { DocumentState, SharedDocument } from "../document.js";
import type { Commit, HistoryQuery, RollbackTarget, RolledBack } from "../http.js";
import type { Json } from "../json.js";
import type { Proposal } from "../proposal.js";
import { useStateClient } from "./provider.js";

export type SharedStateOptions<T> = {
  readonly stateType: string;
  readonly stateId: string;
  /** Creates the document if there is none, and is what is seen until it is known. */
  readonly initialState?: T;
  /** Who is here, for the others' `presence`; nobody is announced without it. */
  readonly presence?: Json;
};

export type SharedStateResult<T> = DocumentState<T> & {
  /** The whole next state, or how to make it; the difference is sent. */
  readonly updateState: (next: T | ((before: T) => T)) => void;
  readonly mutate: (proposal: Proposal, options?: { readonly reason?: string }) => void;
  readonly history: (query?: HistoryQuery) => Promise<Commit[]>;
  /** The document as it was. */
  readonly at: (version: number) => Promise<T>;
  readonly rollback: (target: RollbackTarget, reason?: string) => Promise<RolledBack>;
};

export function useSharedState<T = Json>(options: SharedStateOptions<T> & { readonly initialState: T }): SharedStateResult<T>;
export function useSharedState<T = Json>(options: SharedStateOptions<T>): SharedStateResult<T | undefined>;
export function useSharedState<T>({ stateType, stateId, initialState, presence }: SharedStateOptions<T>): SharedStateResult<T | undefined> {
  const document = useSharedDocument<T | undefined>(stateType, stateId, initialState);
  return useSharedStateOf<T | undefined>(document, initialState, presence);
}

/** The state of a document, which there may not be yet. */
export function useSharedStateOf<T>(document: SharedDocument<T> | null, initialState: T, presence?: Json): SharedStateResult<T> {
  const [unknown] = useState<DocumentState<T>>(() => ({ ...UNKNOWN, state: initialState }));
  const subscribe = useCallback((listener: () => void) => document?.subscribe(listener) ?? (() => undefined), [document]);
  const snapshot = useSyncExternalStore(subscribe, () => document?.getSnapshot() ?? unknown, () => unknown);

  const said = presence === undefined ? undefined : JSON.stringify(presence);
  useEffect(() => {
    if (said === undefined) return;
    document?.setPresence(JSON.parse(said) as Json);
    return () => document?.setPresence();
  }, [document, said]);

  // Edits made before there is a client wait for it.
  const waiting = useRef<((document: SharedDocument<T>) => void)[]>([]);
  useEffect(() => {
    if (document) for (const edit of waiting.current.splice(0)) edit(document);
  }, [document]);

  const calls = useMemo(() => {
    const edit = (work: (document: SharedDocument<T>) => void) => (document ? work(document) : void waiting.current.push(work));
    const ask = <R>(work: (document: SharedDocument<T>) => Promise<R>): Promise<R> =>
      document ? work(document) : Promise.reject(new Error("useSharedState needs a <SharedStateProvider> above it"));
    return {
      updateState: (next: T | ((before: T) => T)) => edit((document) => document.updateState(next)),
      mutate: (proposal: Proposal, options?: { readonly reason?: string }) => edit((document) => document.mutate(proposal, options)),
      history: (query?: HistoryQuery) => ask((document) => document.history(query)),
      at: (version: number) => ask((document) => document.at(version)),
      rollback: (target: RollbackTarget, reason?: string) => ask((document) => document.rollback(target, reason)),
    };
  }, [document]);
  return useMemo(() => ({ ...snapshot, ...calls }), [snapshot, calls]);
}

const UNKNOWN: Omit<DocumentState<never>, "state"> = { version: 0, status: "connecting", connected: false, pending: 0, error: null, conflicts: [], presence: [] };

/** The document while the component is mounted; none as long as its id is not known. */
export function useSharedDocument<T>(type: string, id: string | null, initial: T | undefined): SharedDocument<T> | null {
  const client = useStateClient();
  const [document, setDocument] = useState<SharedDocument<T> | null>(null);
  const first = useRef(initial);
  useEffect(() => {
    if (!client || id === null) return;
    const opened = client.document<T>(type, id, first.current);
    setDocument(opened);
    return () => {
      opened.close();
      setDocument(null);
    };
  }, [client, type, id]);
  return document;
}
