// What happened, in words: each event has a short title, the change it made, and who did it. Charts, tables and the
// log all take their text from here.

import { endingText, failed } from "./ending";
import { duration, limit, NONE, unix } from "./format";
import type { EventRecord } from "./wire";

export type Tone = "quiet" | "policy" | "operator" | "cold" | "bad";

const TITLES: Record<string, string> = {
  "container.create": "created",
  "container.start": "started",
  "container.exit": "exited",
  "container.oom": "out of memory",
  "container.remove": "removed",
  "container.adopt": "adopted",
  "container.freeze": "frozen",
  "container.thaw": "thawed",
  "limit.change": "limit changed",
  "limit.drift": "limit drifted",
  "policy.action": "policy acted",
  "policy.state": "policy state",
  "daemon.start": "daemon started",
  "daemon.stop": "daemon stopped",
  note: "note",
};

export interface Change {
  field: string;
  before: string;
  after: string;
}

export function eventTitle(event: EventRecord): string {
  return TITLES[event.type] ?? event.type.replace(/^container\./, "").replaceAll(/[._]/g, " ");
}

export function eventTone(event: EventRecord): Tone {
  if (event.type === "container.oom" || event.type === "limit.drift") return "bad";
  if (event.type === "container.exit" && failed(asFields(event.after))) return "bad";
  if (event.type === "container.freeze" || event.type === "container.thaw") return "cold";
  if (event.actor.kind === "policy") return "policy";
  if (event.actor.kind === "operator") return "operator";
  return "quiet";
}

/** Who owns or holds something, as words: "policy:x" is "policy x". */
export function ownerText(owner: string): string {
  return owner.replace(/^policy:/, "policy ");
}

export function actorText(actor: { kind: string; name: string }): string {
  return actor.name && actor.name !== actor.kind ? `${actor.kind} ${actor.name}` : actor.kind;
}

const FIELDS: Record<string, string> = {
  memory_max_bytes: "memory",
  cpu_max_cores: "cpu",
  pids_max: "pids",
  memory_swap_max_bytes: "swap",
};

/** A field's name as people say it: memory_max_bytes is "memory", cpu_period_usec "cpu period". */
export function fieldTitle(field: string): string {
  return FIELDS[field] ?? field.replace(/_(bytes|cores|usec|fraction)$/, "").replaceAll("_", " ");
}

/** What the event changed; that a container was frozen or got a pid its title says already. */
export function changes(event: Pick<EventRecord, "type" | "before" | "after">): Change[] {
  return event.type.startsWith("container.") ? [] : fieldChanges(event.before, event.after);
}

/** One line per field whose value differs. */
export function fieldChanges(was: unknown, is: unknown): Change[] {
  const before = asFields(was);
  const after = asFields(is);
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names]
    .filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
    .map((name) => ({ field: name, before: limit(name, before[name]), after: limit(name, after[name]) }));
}

function asFields(value: unknown): Record<string, unknown> {
  if (value == null) return {};
  if (typeof value === "object" && !Array.isArray(value)) return value as Record<string, unknown>;
  return { "": value };
}

export function changeText(change: Change): string {
  const title = change.field === "" ? "" : `${fieldTitle(change.field)} `;
  if (change.before === NONE) return `${title}${change.after}`;
  const unit = /\u00a0\S+$/.exec(change.after)?.[0] ?? "";
  const before = unit && change.before.endsWith(unit) ? change.before.slice(0, -unit.length) : change.before;
  return `${title}${before} → ${change.after}`;
}

/** What happened in one line; a decision that did the same reads the same. */
export function eventLine(event: EventRecord): string {
  const told = changes(event).map(changeText).join(", ");
  if (event.type === "limit.change" && told) return told;
  if (event.type === "container.freeze") return frozenText(event.time, event.until);
  if (event.type === "container.exit") return endingText(asFields(event.after));
  return told ? `${eventTitle(event)}: ${told}` : eventTitle(event);
}

/** "frozen for 4 s", or without a lease just "frozen". */
export function frozenText(from: string, until: string | null | undefined): string {
  const [start, end] = [unix(from), unix(until)];
  return start === null || end === null ? "frozen" : `frozen for ${duration(Math.round(end - start))}`;
}

/** Spans in which the container was frozen, from its freeze and thaw events; an open one has no end. */
export function frozenSpans(
  events: readonly EventRecord[],
  at: (e: EventRecord) => number | null,
): [number, number | null][] {
  const spans: [number, number | null][] = [];
  let since: number | null = null;
  for (const event of [...events].sort((a, b) => a.id - b.id)) {
    if (event.type === "container.freeze") since ??= at(event);
    const ends = event.type === "container.thaw" || event.type === "container.exit";
    if (!ends) continue;
    const until = at(event);
    // A thaw without its freeze: the freeze is older than the events that we have.
    if (until !== null && (since !== null || event.type === "container.thaw"))
      spans.push([since ?? -Infinity, until]);
    since = null;
  }
  if (since !== null) spans.push([since, null]);
  return spans;
}
