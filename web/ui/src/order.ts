// Which containers the list shows and in which order. Pure. A value that is not known sorts last in both directions.

import type { Container, Num } from "./wire";

export type Column = "name" | "state" | "cpu" | "memory" | "io" | "net" | "pids" | "pressure" | "event";
export interface Order {
  column: Column;
  down: boolean;
}

const sum = (...values: (Num | undefined)[]): Num => {
  const known = values.filter((value): value is number => value != null);
  return known.length === 0 ? null : known.reduce((a, b) => a + b, 0);
};
const largest = (...values: (Num | undefined)[]): Num => {
  const known = values.filter((value): value is number => value != null);
  return known.length === 0 ? null : Math.max(...known);
};
const STATES = ["running", "frozen", "created", "exited"];

/** What a column sorts by; `lastEvent` is the id of the newest event of a container. */
export function sortKey(
  container: Container,
  column: Column,
  lastEvent: (name: string) => number,
): Num | string {
  const usage = container.usage ?? {};
  switch (column) {
    case "name":
      return container.name;
    case "state":
      return STATES.indexOf(container.state);
    case "cpu":
      return usage.cpu_cores ?? null;
    case "memory":
      return usage.memory_usage_bytes ?? null;
    case "io":
      return sum(usage.io_read_bytes_per_sec, usage.io_write_bytes_per_sec);
    case "net":
      return sum(usage.net_rx_bytes_per_sec, usage.net_tx_bytes_per_sec);
    case "pids":
      return usage.pids_current ?? null;
    case "pressure":
      return largest(usage.cpu_pressure_fraction, usage.memory_pressure_fraction, usage.io_pressure_fraction);
    case "event":
      return lastEvent(container.name) || null;
  }
}

export function sorted(
  list: readonly Container[],
  order: Order,
  lastEvent: (name: string) => number,
): Container[] {
  const keyed = list.map((one) => ({ one, key: sortKey(one, order.column, lastEvent) }));
  const sign = order.down ? -1 : 1;
  keyed.sort((a, b) => {
    if (a.key === null || b.key === null)
      return a.key === b.key ? byName(a.one, b.one) : a.key === null ? 1 : -1;
    if (a.key === b.key) return byName(a.one, b.one);
    return typeof a.key === "string"
      ? sign * a.key.localeCompare(String(b.key))
      : sign * (Number(a.key) - Number(b.key));
  });
  return keyed.map(({ one }) => one);
}

const byName = (a: Container, b: Container): number => a.name.localeCompare(b.name);

/** Every word must be found in the name, state, class, command, image or labels. */
export function matches(container: Container, filter: string): boolean {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return true;
  const labels = Object.entries(container.labels).map(([key, value]) => `${key}=${value}`);
  const text = [
    container.name,
    container.state,
    container.class,
    container.image,
    ...container.command,
    ...labels,
  ]
    .join(" ")
    .toLowerCase();
  return words.every((word) => text.includes(word));
}
