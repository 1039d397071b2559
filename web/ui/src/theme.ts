// Dark or light: the system's wish by default, the reader's where one was chosen. It is kept in this browser only.

import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
const KEY = "cgwarden.theme";

export const theme = signal<Theme>(stored());
/** Counts up when the colours in force change, so that what is painted on canvas is painted again. */
export const schemeEpoch = signal(0);

function stored(): Theme {
  const value = localStorage.getItem(KEY);
  return value === "light" || value === "dark" ? value : "system";
}

function prefersDark(): MediaQueryList {
  return matchMedia("(prefers-color-scheme: dark)");
}

export function isDark(): boolean {
  return theme.value === "system" ? prefersDark().matches : theme.value === "dark";
}

export function flip(): void {
  const wanted: Theme = isDark() ? "light" : "dark";
  const system = prefersDark().matches ? "dark" : "light";
  theme.value = wanted === system ? "system" : wanted;
}

export function startTheme(): void {
  effect(() => {
    const root = document.documentElement;
    if (theme.value === "system") {
      root.removeAttribute("data-theme");
      localStorage.removeItem(KEY);
    } else {
      root.setAttribute("data-theme", theme.value);
      localStorage.setItem(KEY, theme.value);
    }
    schemeEpoch.value = schemeEpoch.peek() + 1;
  });
  prefersDark().addEventListener("change", () => (schemeEpoch.value += 1));
}
