/** The document of this page. */
export type Example = { messages: string[]; count: number };

export const EMPTY: Example = { messages: [], count: 0 };

const query = new URLSearchParams(window.location.search);

export const serverUrl: string = query.get("server") ?? import.meta.env.VITE_COAGENT_URL ?? "http://127.0.0.1:7070";
export const stateId: string = query.get("id") ?? "example";

const NAMES = ["Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gia", "Hugo", "Iris", "Jon", "Kim", "Leo"];

/** What the others call this tab, for as long as it is open. */
export const tabName: string = (() => {
  const known = sessionStorage.getItem("name");
  // A tab that is opened from another one begins with a copy of its session.
  if (known && performance.getEntriesByType("navigation").some((entry) => (entry as PerformanceNavigationTiming).type === "reload")) return known;
  const name = NAMES[Math.floor(Math.random() * NAMES.length)] as string;
  sessionStorage.setItem("name", name);
  return name;
})();
