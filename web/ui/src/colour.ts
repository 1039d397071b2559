// Okabe and Ito's colours, which people with any colour vision can tell apart. A series is told by dash as well.
// Canvas cannot read CSS variables, so the charts ask here for the colours of the scheme in force.

export const OKABE = {
  blue: "#0072b2",
  sky: "#56b4e9",
  green: "#009e73",
  orange: "#e69f00",
  vermillion: "#d55e00",
  purple: "#cc79a7",
  yellow: "#f0e442",
} as const;

export interface Ink {
  text: string;
  muted: string;
  grid: string;
  limit: string;
  frozen: string;
  surface: string;
}

/** The inks of the scheme in force, read from the style sheet. */
export function ink(): Ink {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string): string => style.getPropertyValue(name).trim();
  return {
    text: read("--text"),
    muted: read("--muted"),
    grid: read("--grid"),
    limit: read("--limit"),
    frozen: read("--frozen-span"),
    surface: read("--surface"),
  };
}

/** A series' colour where dark and light differ: the dark blue would drown on a dark ground. */
export function resolve(variable: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
}
