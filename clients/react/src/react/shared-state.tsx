/** A document for a render function. */
import type { ReactNode } from "react";
import { type SharedStateOptions, type SharedStateResult, useSharedState } from "./use-shared-state.js";

export type SharedStateProps<T> = SharedStateOptions<T> & { readonly initialState: T; readonly children: (shared: SharedStateResult<T>) => ReactNode };

export function SharedState<T>({ children, ...options }: SharedStateProps<T>): ReactNode {
  return children(useSharedState<T>(options));
}
