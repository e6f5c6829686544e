/** What agents can do with this page, and how their tool calls look in the conversation. */
import { useAgentContext, useDefaultRenderTool, useFrontendTool, useRenderTool } from "@copilotkit/react-core/v2";
import { useState } from "react";
import { z } from "zod";
import { useStateEdits } from "./StateEdit";
import { accent, resetAccent, setAccent } from "./theme";
import { ToolCard, WeatherCard } from "./ToolCard";

const weatherInput = z.object({ location: z.string() });

export function usePageTools(agentId: string, highlight: (index: number | null) => void): void {
  const [color, setColor] = useState(accent);
  useAgentContext({ description: "The page's accent colour", value: color ?? "the page's own" });

  useFrontendTool(
    {
      name: "set_theme_color",
      description: "Change the page's accent colour.",
      parameters: z.object({ color: z.string().describe("any CSS colour; 'default' for the page's own") }),
      agentId,
      handler: async ({ color: wanted }) => {
        if (wanted === "default") resetAccent();
        else if (!setAccent(wanted)) return `'${wanted}' is not a CSS colour`;
        setColor(accent());
        return `the page is ${wanted} now`;
      },
      render: ({ args, status, result }) => (
        <ToolCard name="set_theme_color" title="Page colour" status={status} input={args} result={result}>
          {args.color ? (
            <span className="swatch-line">
              <i className="swatch" style={{ background: args.color }} aria-hidden="true" />
              {args.color}
            </span>
          ) : null}
        </ToolCard>
      ),
    },
    [],
  );

  useFrontendTool(
    {
      name: "highlight_step",
      description: "Draw the user's eye to one entry of the list in the agent's state.",
      parameters: z.object({ index: z.number().int().min(0).describe("0 is the first entry") }),
      agentId,
      handler: async ({ index }) => {
        highlight(index);
        return `entry ${index} is highlighted`;
      },
      render: ({ args, status, result }) => (
        <ToolCard name="highlight_step" title="Highlight" status={status} input={args} result={result}>
          {args.index === undefined ? null : `Entry ${args.index + 1} of the list`}
        </ToolCard>
      ),
    },
    [highlight],
  );

  useRenderTool(
    {
      name: "get_weather",
      parameters: weatherInput,
      agentId,
      render: ({ status, parameters, result }) => <WeatherCard status={status} place={parameters.location} result={result} />,
    },
    [],
  );

  useStateEdits(agentId);

  useDefaultRenderTool({
    render: ({ name, status, parameters, result }) => (
      <ToolCard name={name} title={name} status={status} input={parameters} result={result} />
    ),
  });
}
