// The one EventSource of this tab. A hidden tab costs the daemon nothing: the stream is closed and, when the tab
// comes back, opened again with everything read afresh.

import { readContainers, readEvents, readHost, signedOut } from "./api";
import {
  connection,
  gapEpoch,
  loaded,
  takeContainerFrame,
  takeContainers,
  takeEvents,
  takeHostFrame,
} from "./store";
import type { ContainerFrame, EventRecord, Host } from "./wire";

const ADDRESS = "api/v1/stream?topics=host,containers,events";
const RETRY_MS = 2000;

let source: EventSource | null = null;
let retry: ReturnType<typeof setTimeout> | undefined;

export function startStream(): void {
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : void open()));
  void open();
}

/** Read the state over HTTP, then follow it. Called again after each break. */
export async function open(): Promise<void> {
  close();
  if (document.hidden) return;
  try {
    await refresh();
  } catch {
    // The Problem is shown as "no answer" or as the log-in page; what remains is to try again.
    if (!signedOut.value) lose();
    return;
  }
  follow();
}

async function refresh(): Promise<void> {
  const [list, machine, recent] = await Promise.all([
    readContainers(),
    readHost(),
    readEvents({ limit: 200 }),
  ]);
  takeContainers(list);
  takeHostFrame(machine);
  takeEvents(recent);
  gapEpoch.value += 1;
}

function follow(): void {
  source = new EventSource(ADDRESS);
  source.addEventListener("open", () => (connection.value = "live"));
  on<Host>("host", takeHostFrame);
  on<{ wall_time: number; containers: ContainerFrame[] }>("containers", (frame) => {
    const unknown = takeContainerFrame(frame.wall_time, frame.containers);
    if (unknown.length > 0) void readContainers().then(takeContainers, () => undefined);
  });
  on<EventRecord>("event", (record) => takeEvents([record]));
  source.addEventListener("gap", () => void open());
  source.addEventListener("reset", () => void open());
  source.addEventListener("error", lose);
}

function on<T>(name: string, take: (data: T) => void): void {
  source?.addEventListener(name, (message) => take(JSON.parse((message as MessageEvent<string>).data) as T));
}

// EventSource would reconnect by itself, but without what happened in between, and never after an HTTP error.
function lose(): void {
  close();
  connection.value = loaded.peek() ? "lost" : "connecting";
  retry = setTimeout(() => void open(), RETRY_MS);
}

function close(): void {
  clearTimeout(retry);
  source?.close();
  source = null;
}
