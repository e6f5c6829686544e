import type { ReactNode } from "react";

const words: Record<string, string> = { inProgress: "preparing", executing: "running", complete: "done" };

type Props = { name: string; title: string; status: string; input: unknown; result: string | undefined; children?: ReactNode };

export function ToolCard({ name, title, status, input, result, children }: Props) {
  return (
    <div className="card tool" data-testid="tool-call" data-tool={name} data-status={status}>
      <div className="tool-head">
        <i className="tool-dot" aria-hidden="true" />
        <strong>{title}</strong>
        <small>{words[status] ?? status}</small>
      </div>
      {children && <div className="tool-body">{children}</div>}
      <details>
        <summary>Details</summary>
        <dl>
          <dt>Input</dt>
          <dd>
            <pre>{pretty(input)}</pre>
          </dd>
          {result !== undefined && (
            <>
              <dt>Result</dt>
              <dd>
                <pre>{pretty(result)}</pre>
              </dd>
            </>
          )}
        </dl>
      </details>
    </div>
  );
}

type Weather = { city?: string; temperature?: number; humidity?: number; wind_speed?: number; conditions?: string };

export function WeatherCard({ status, place, result }: { status: string; place: string | undefined; result: string | undefined }) {
  const weather = parse(result) as Weather | null;
  return (
    <ToolCard name="get_weather" title={`Weather${place ? ` in ${place}` : ""}`} status={status} input={{ location: place }} result={result}>
      <div className="weather">
        <b>{weather?.temperature === undefined ? "–" : `${weather.temperature}°`}</b>
        <span>{weather?.conditions ?? "Asking…"}</span>
        <small>
          {weather ? `${weather.humidity ?? "–"} % humidity, wind ${weather.wind_speed ?? "–"} km/h` : "\u00a0"}
        </small>
      </div>
    </ToolCard>
  );
}

function parse(text: string | undefined): unknown {
  if (text === undefined) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function pretty(value: unknown): string {
  const parsed = typeof value === "string" ? (parse(value) ?? value) : value;
  return typeof parsed === "string" ? parsed : (JSON.stringify(parsed, null, 2) ?? "");
}
