// One door to the HTTP API. Every failure becomes a Problem with the server's own sentence; 401 leads to the log-in.

import { signal } from "@preact/signals";
import type {
  Container,
  Decision,
  EventRecord,
  History,
  Holding,
  Host,
  Inspected,
  LimitOutcome,
  LimitValue,
  LimitsDocument,
  LogLine,
  Policy,
} from "./wire";

const BASE = "api/v1";
export const signedOut = signal(false);

/** An answer that was not a success: RFC 9457's fields where the server sent them. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly kind: string,
    readonly title: string,
    readonly detail: string,
    readonly hint: string,
    readonly errors: { pointer?: string; detail?: string }[],
  ) {
    super(detail || title);
  }
}

async function send(path: string, init: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(`${BASE}${path}`, { credentials: "same-origin", cache: "no-store", ...init });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Problem(
      0,
      "unreachable",
      "No answer",
      "The daemon did not answer.",
      "Is `cgwarden serve` running?",
      [],
    );
  }
  if (answer.ok) return answer;
  if (answer.status === 401) signedOut.value = true;
  throw await problemOf(answer);
}

async function problemOf(answer: Response): Promise<Problem> {
  const body: Record<string, unknown> = await answer.json().catch(() => ({}));
  const text = (key: string): string => (typeof body[key] === "string" ? (body[key] as string) : "");
  const kind = text("type").replace(/^.*\//, "") || String(answer.status);
  const errors = Array.isArray(body["errors"])
    ? (body["errors"] as { pointer?: string; detail?: string }[])
    : [];
  return new Problem(
    answer.status,
    kind,
    text("title") || answer.statusText,
    text("detail"),
    text("hint"),
    errors,
  );
}

async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const answer = await send(path, signal ? { signal } : {});
  return (await answer.json()) as T;
}

function bodyOf(method: string, body: unknown, headers: Record<string, string> = {}): RequestInit {
  return { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...headers } };
}

const at = (name: string): string => `/containers/${encodeURIComponent(name)}`;

export const readContainers = async (): Promise<Container[]> =>
  (await get<{ containers: Container[] }>("/containers")).containers;
export const readHost = (): Promise<Host> => get<Host>("/host");
export const readContainer = (name: string): Promise<Inspected> => get<Inspected>(at(name));

export const readHistory = (
  name: string,
  metrics: readonly string[],
  sinceSec: number,
  points: number,
): Promise<History> =>
  get<History>(`${at(name)}/history?metrics=${metrics.join(",")}&since_sec=${sinceSec}&points=${points}`);

export const readHostHistory = (sinceSec: number, points: number): Promise<History> =>
  get<History>(`/host/history?since_sec=${sinceSec}&points=${points}`);

export async function readEvents(query: Record<string, string | number>): Promise<EventRecord[]> {
  const params = new URLSearchParams(Object.entries(query).map(([key, value]) => [key, String(value)]));
  return (await get<{ events: EventRecord[] }>(`/events?${params}`)).events;
}

export async function readDecisions(query: Record<string, string | number>): Promise<Decision[]> {
  const params = new URLSearchParams(Object.entries(query).map(([key, value]) => [key, String(value)]));
  return (await get<{ decisions: Decision[] }>(`/decisions?${params}`)).decisions;
}

export const readPolicies = async (): Promise<Policy[]> =>
  (await get<{ policies: Policy[] }>("/policies")).policies;

/** The newest lines; a line that is no JSON (cut off by a stopping server) is left out. */
export async function readLog(name: string, tail: number, signal: AbortSignal): Promise<LogLine[]> {
  const answer = await send(`${at(name)}/logs?tail=${tail}&format=jsonl`, { signal });
  const lines: LogLine[] = [];
  for (const line of (await answer.text()).split("\n")) {
    if (line.startsWith("{") && line.endsWith("}")) lines.push(JSON.parse(line) as LogLine);
  }
  return lines;
}

export async function readLimits(name: string): Promise<{ document: LimitsDocument; etag: string }> {
  const answer = await send(`${at(name)}/limits`);
  return { document: (await answer.json()) as LimitsDocument, etag: answer.headers.get("ETag") ?? "" };
}

export interface LimitWish {
  patch: Record<string, LimitValue>;
  dryRun: boolean;
  force: boolean;
  leaseSec: number | null;
  etag: string;
}

/** Change limits, or with `dryRun` list the kernel writes that it would take. */
export async function patchLimits(
  name: string,
  wish: LimitWish,
  signal?: AbortSignal,
): Promise<LimitOutcome> {
  const params = new URLSearchParams();
  if (wish.dryRun) params.set("dry_run", "true");
  if (wish.force) params.set("force", "true");
  if (wish.leaseSec !== null) params.set("lease_sec", String(wish.leaseSec));
  const init = bodyOf("PATCH", wish.patch, wish.etag ? { "If-Match": wish.etag } : {});
  const answer = await send(`${at(name)}/limits?${params}`, signal ? { ...init, signal } : init);
  return (await answer.json()) as LimitOutcome;
}

const hold = async (name: string, verb: "freeze" | "thaw", body: Record<string, unknown>): Promise<Holding> =>
  (await (await send(`${at(name)}/${verb}`, bodyOf("POST", body))).json()) as Holding;

export const freeze = (name: string): Promise<Holding> =>
  hold(name, "freeze", { reason: "frozen from the dashboard" });
export const thaw = (name: string, force: boolean): Promise<Holding> => hold(name, "thaw", { force });

export async function login(code: string): Promise<void> {
  await send("/login", bodyOf("POST", { code }));
  signedOut.value = false;
}
