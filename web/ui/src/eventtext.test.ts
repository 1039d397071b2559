// Events in words, and the spans that the charts shade.
import { expect, test } from "vitest";
import { changes, changeText, fieldChanges, eventLine, eventTone, frozenSpans } from "./eventtext";
import type { EventRecord } from "./wire";

const typed = (text: string): string => text.replaceAll("\u00a0", " ");
const event = (id: number, type: string, rest: Partial<EventRecord> = {}): EventRecord => ({
  id,
  time: `1970-01-01T00:00:${String(id).padStart(2, "0")}Z`,
  type,
  container: { name: "web" },
  actor: { kind: "daemon", name: "cgwarden" },
  reason: "",
  before: null,
  after: null,
  decision: null,
  until: null,
  ...rest,
});

test("a limit change names field, old and new, with the unit once", () => {
  const change = event(1, "limit.change", {
    before: { memory_max_bytes: 67108864, pids_max: 50 },
    after: { memory_max_bytes: 134217728, pids_max: 50 },
  });

  expect(changes(change).map(changeText).map(typed)).toEqual(["memory 64 → 128 MiB"]);
  expect(typed(eventLine(change))).toBe("memory 64 → 128 MiB");
});

test("a limit that is lifted keeps both units apart", () => {
  const change = event(1, "limit.change", {
    before: { memory_max_bytes: 67108864 },
    after: { memory_max_bytes: "max" },
  });

  expect(changes(change).map(changeText).map(typed)).toEqual(["memory 64 MiB → unlimited"]);
});

test("an unknown type of event still reads as words", () => {
  expect(eventLine(event(1, "container.rename_all"))).toBe("rename all");
});

test("a freeze says how long, an exit how it ended, a drift what drifted", () => {
  const line = (type: string, rest: Partial<EventRecord>) => typed(eventLine(event(1, type, rest)));

  expect(line("container.freeze", { until: "1970-01-01T00:00:05Z" })).toBe("frozen for 4 s");
  expect(line("container.freeze", {})).toBe("frozen");
  expect(line("container.exit", { after: { exit_code: 137, oom_killed: true } })).toBe(
    "out of memory, exit code 137",
  );
  expect(line("limit.drift", { before: { pids_max: 5 }, after: { pids_max: 6 } })).toBe(
    "limit drifted: pids 5 → 6",
  );
});

test("what hurts is told apart from who did it", () => {
  expect(eventTone(event(1, "container.oom", { actor: { kind: "policy", name: "x" } }))).toBe("bad");
  expect(eventTone(event(1, "container.exit", { after: { exit_code: 3 } }))).toBe("bad");
  expect(eventTone(event(1, "container.exit", { after: { exit_code: 0 } }))).toBe("quiet");
  expect(eventTone(event(1, "limit.change", { actor: { kind: "policy", name: "x" } }))).toBe("policy");
});

test("frozen spans: closed, open, ended by the exit, and begun before the first event", () => {
  const spans = (types: string[]) =>
    frozenSpans(
      types.map((type, i) => event(i + 1, type)),
      (one) => one.id,
    );

  expect(spans(["container.freeze", "container.thaw"])).toEqual([[1, 2]]);
  expect(spans(["container.freeze"])).toEqual([[1, null]]);
  expect(spans(["container.freeze", "container.freeze", "container.exit"])).toEqual([[1, 3]]);
  expect(spans(["container.thaw"])).toEqual([[-Infinity, 1]]);
  expect(spans(["container.start", "container.exit"])).toEqual([]);
});

test("what a title says already is not told a second time as a change", () => {
  expect(changes(event(1, "container.freeze", { before: "thawed", after: "frozen" }))).toEqual([]);
  expect(changes(event(1, "container.start", { after: { pid: 5 } }))).toEqual([]);
});

test("a field that had no value before is told without one", () => {
  expect(fieldChanges(null, { pids_max: 50 }).map(changeText)).toEqual(["pids 50"]);
});
