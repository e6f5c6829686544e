/** React hooks and components on the shared state of the CoAgent Runtime. */
export { ConnectionStatus, type ConnectionStatusProps } from "./react/connection-status.js";
export { Presence, type PresenceProps } from "./react/presence.js";
export { SharedStateProvider, type SharedStateProviderProps, useClientState, useStateClient } from "./react/provider.js";
export { SharedState, type SharedStateProps } from "./react/shared-state.js";
export { type Past, StateHistory, type StateHistoryProps } from "./react/state-history.js";
export { type LiveAgentState, useLiveAgentState } from "./react/use-live-agent-state.js";
export { type SharedStateOptions, type SharedStateResult, useSharedState } from "./react/use-shared-state.js";
