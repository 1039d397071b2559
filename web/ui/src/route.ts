// Pages by URL fragment, so that the server serves one file and a link to a container can be sent to a colleague.

import { signal } from "@preact/signals";

export type Route =
  | { page: "containers" }
  | { page: "container"; name: string }
  | { page: "events" }
  | { page: "decisions"; id: string | null };

export function parseRoute(hash: string): Route {
  const parts = hash.replace(/^#\/?/, "").split("/").map(decode);
  if (parts[0] === "c" && parts[1]) return { page: "container", name: parts[1] };
  if (parts[0] === "events") return { page: "events" };
  if (parts[0] === "decisions") return { page: "decisions", id: parts[1] || null };
  return { page: "containers" };
}

// A hand-typed "%zz" is a name that no container has, not a page that fails.
function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const containerLink = (name: string): string => `#/c/${encodeURIComponent(name)}`;
export const decisionLink = (id: string): string => `#/decisions/${encodeURIComponent(id)}`;

export const route = signal<Route>(parseRoute(location.hash));

export function go(hash: string): void {
  location.hash = hash;
}

/** The one-time code of a log-in link. It leaves the address at once, so that no history keeps it. */
export function takeLoginCode(): string | null {
  const match = /^#code=([^&]+)/.exec(location.hash);
  if (!match) return null;
  history.replaceState(null, "", location.pathname);
  route.value = parseRoute("");
  return decode(match[1] ?? "");
}

export function startRouting(): void {
  addEventListener("hashchange", () => {
    route.value = parseRoute(location.hash);
    scrollTo(0, 0);
  });
}
