export { useSharedState, useSharedState as default } from "coagent-runtime/react";
