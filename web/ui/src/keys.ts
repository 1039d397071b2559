// Keys, in one table that the help dialog prints as well. A page adds its own while it is shown. Keys do nothing
// while somebody types or a dialog is open.

import { useEffect } from "preact/hooks";

export interface Key {
  keys: string;
  does: string;
  run: () => void;
}

const SEQUENCE_MS = 1200;
const tables = new Set<readonly Key[]>();
let started = "";
let startedAt = 0;

export function useKeys(table: readonly Key[]): void {
  useEffect(() => {
    tables.add(table);
    return () => void tables.delete(table);
  });
}

export function knownKeys(): Key[] {
  const seen = new Map<string, Key>();
  for (const table of tables) for (const key of table) seen.set(key.keys, key);
  return [...seen.values()];
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && target.closest("input, textarea, select, [contenteditable]") !== null
  );
}

/** Space and Enter belong to the button or link that has the focus. */
function isTaken(event: KeyboardEvent): boolean {
  const onControl =
    event.target instanceof HTMLElement && event.target.closest("button, a, summary") !== null;
  return onControl && (event.key === " " || event.key === "Enter");
}

export function startKeys(): void {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || isTaken(event)) return;
    if (document.querySelector("dialog[open]")) return;
    const pressed =
      event.timeStamp - startedAt < SEQUENCE_MS && started ? `${started} ${event.key}` : event.key;
    started = "";
    if (event.key === "g" && pressed === "g") {
      started = "g";
      startedAt = event.timeStamp;
      return;
    }
    const wanted = pressed === " " ? "space" : pressed;
    const key = [...tables].flatMap((table) => [...table]).find((one) => one.keys === wanted);
    if (!key) return;
    event.preventDefault();
    key.run();
  });
}
