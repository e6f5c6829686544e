/** What is used of CopilotKit, whose package an application brings along. */
declare module "@copilotkit/react-core/v2/context" {
  export const CopilotKitContext: import("react").Context<import("./kit.js").Surrounding | null>;
}
