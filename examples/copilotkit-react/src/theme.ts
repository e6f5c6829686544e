/** The page's colours: light or dark by the system's wish, and one accent colour that an agent may change. */

const ACCENT_KEY = "coagent.accent";

/** CopilotKit's styles look for the class `dark`; the page itself uses the same. */
export function followColorScheme(): void {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => document.documentElement.classList.toggle("dark", dark.matches);
  apply();
  dark.addEventListener("change", apply);
  const saved = localStorage.getItem(ACCENT_KEY);
  if (saved) paint(saved);
}

/** The accent colour in use, or `null` for the page's own. */
export function accent(): string | null {
  return localStorage.getItem(ACCENT_KEY);
}

/** Takes any CSS colour; answers false, and changes nothing, for text that is not one. */
export function setAccent(color: string): boolean {
  if (!CSS.supports("color", color)) return false;
  localStorage.setItem(ACCENT_KEY, color);
  paint(color);
  return true;
}

export function resetAccent(): void {
  localStorage.removeItem(ACCENT_KEY);
  const style = document.documentElement.style;
  style.removeProperty("--brand");
  style.removeProperty("--on-brand");
}

function paint(color: string): void {
  const style = document.documentElement.style;
  style.setProperty("--brand", color);
  style.setProperty("--on-brand", isLight(color) ? "#14161c" : "#ffffff");
}

function isLight(color: string): boolean {
  const context = document.createElement("canvas").getContext("2d");
  if (!context) return false;
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  const [red = 0, green = 0, blue = 0] = context.getImageData(0, 0, 1, 1).data;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 150;
}
