// What the whole dashboard knows, as signals: filled once over HTTP, kept current by the stream. Pages read, they do
// not write here.

import { computed, signal } from "@preact/signals";
import { Ring } from "./series";
import type { Container, ContainerFrame, EventRecord, Host, Num } from "./wire";

export type Connection = "connecting" | "live" | "lost";

const SPARK = 60;
const STALE_SEC = 5;
const EVENTS_KEPT = 500;

export const host = signal<Host | null>(null);
export const containers = signal<ReadonlyMap<string, Container>>(new Map());
export const loaded = signal(false);
export const events = signal<readonly EventRecord[]>([]);
export const connection = signal<Connection>("connecting");
/** The server's clock at the last frame, in unix seconds. */
export const measuredAt = signal(0);
/** Counts up after the stream was away, so that charts fetch what they missed. */
export const gapEpoch = signal(0);
/** Space: numbers and charts stand still, the data behind them does not. */
export const paused = signal(false);
/** This second, for "12s ago"; stands still while paused. */
export const now = signal(Date.now() / 1000);

const lastFrameAt = signal(performance.now());
const tick = signal(performance.now());
export const staleSec = computed(() => {
  const age = (tick.value - lastFrameAt.value) / 1000;
  return connection.value === "live" && age > STALE_SEC ? Math.round(age) : null;
});

const sparks = new Map<string, Ring>();

/** The newest values of `key`, "name metric" for a container or "host metric". */
export function spark(owner: string, metric: string): Ring {
  const key = `${owner} ${metric}`;
  let ring = sparks.get(key);
  if (!ring) sparks.set(key, (ring = new Ring(SPARK)));
  return ring;
}

// A space cannot be in a container's name, and "host" may be one: the host's rings get a key that no name can be.
export const HOST = "/host";

export function takeContainers(list: readonly Container[]): void {
  containers.value = new Map(list.map((one) => [one.name, one]));
  loaded.value = true;
}

/** A frame of the stream: what it does not say about a container stays as it was. */
export function takeContainerFrame(wallTime: number, frames: readonly ContainerFrame[]): string[] {
  arrived(wallTime);
  const known = containers.peek();
  const unknown: string[] = [];
  const next = new Map<string, Container>();
  for (const frame of frames) {
    const before = known.get(frame.name);
    if (!before && frame.image === undefined) unknown.push(frame.name);
    next.set(frame.name, { ...(before ?? BLANK), ...frame });
    spark(frame.name, "cpu_cores").push(frame.usage?.cpu_cores);
  }
  for (const name of known.keys()) if (!next.has(name)) forget(name);
  containers.value = next;
  loaded.value = true;
  return unknown;
}

function forget(name: string): void {
  for (const key of sparks.keys()) if (key.startsWith(`${name} `)) sparks.delete(key);
}

export function takeHostFrame(frame: Host): void {
  arrived(frame.wall_time ?? Date.now() / 1000);
  host.value = { ...host.peek(), ...frame };
  spark(HOST, "cpu").push(frame.cpu_used_cores);
  spark(HOST, "memory").push(usedMemory(frame));
  for (const kind of ["cpu", "memory", "io"] as const) {
    spark(HOST, `pressure ${kind}`).push(hostPressure(frame, kind));
  }
}

/** The share of the last second in which some task of the host waited; else the kernel's own mean of 10 s. */
export function hostPressure(frame: Host, kind: "cpu" | "memory" | "io"): Num {
  return frame[`${kind}_pressure_fraction`] ?? frame.pressure?.[kind]?.some_avg10_fraction ?? null;
}

export function usedMemory(frame: Host): number | null {
  if (frame.memory_total_bytes == null || frame.memory_available_bytes == null) return null;
  return frame.memory_total_bytes - frame.memory_available_bytes;
}

/** Newest first, each once: the stream repeats the last ones when it comes back. */
export function takeEvents(list: readonly EventRecord[]): void {
  const byId = new Map(events.peek().map((one) => [one.id, one]));
  for (const one of list) byId.set(one.id, one);
  events.value = [...byId.values()].sort((a, b) => b.id - a.id).slice(0, EVENTS_KEPT);
}

function arrived(wallTime: number): void {
  measuredAt.value = wallTime;
  lastFrameAt.value = performance.now();
}

export function startClock(): void {
  setInterval(() => {
    tick.value = performance.now();
    if (!paused.peek()) now.value = Date.now() / 1000;
  }, 1000);
}

const BLANK: Container = {
  name: "",
  state: "running",
  pid: null,
  exit_code: null,
  image: "",
  labels: {},
  created_at: null,
  started_at: null,
  finished_at: null,
  class: "",
  command: [],
  rootfs: "",
  network: "",
  hostname: "",
  supervised: true,
  oom_killed: false,
  usage: null,
  limits: null,
};
