/** What is used of CopilotKit, whose package an application brings along. */
declare module "@copilotkit/react-core/v2" {
  export function useAgent(options: { agentId: string }): { agent: import("./binding.js").BoundAgent };
  export function useCopilotKit(): { copilotkit: { connectAgent(parameters: { agent: import("./binding.js").BoundAgent }): Promise<unknown> } };
}
