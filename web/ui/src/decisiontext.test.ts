// Decisions in words, and which of them are one story.
import { expect, test } from "vitest";
import { decisionLine, runLine, runsOf } from "./decisiontext";
import type { Decision } from "./wire";

const typed = (text: string): string => text.replaceAll("\u00a0", " ");
const decision = (second: number, rest: Partial<Decision> = {}): Decision => ({
  id: `d-${String(second).padStart(6, "0")}`,
  at: new Date(second * 1000).toISOString(),
  target: "hog",
  policy: { name: "suppress" },
  field: "cpu_max_cores",
  before: 0.4,
  wanted: 0.2,
  outcome: "applied",
  ...rest,
});

test.each<[Partial<Decision>, string]>([
  [{}, "cpu 0.40 → 0.20 cores"],
  [{ before: "max" }, "cpu unlimited → 0.20 cores"],
  [
    { field: "freezer", before: "thawed", wanted: "frozen", lease_until: new Date(5000).toISOString() },
    "frozen for 4 s",
  ],
  [{ field: "freezer", before: "thawed", wanted: "frozen" }, "frozen"],
  [{ field: "freezer", before: "frozen", wanted: "thawed" }, "thawed"],
  [{ field: "memory_max_bytes, pids_max", before: null, wanted: { pids_max: 50 } }, "pids 50"],
  [{ field: "freezer", before: "thawed", wanted: "frozen", outcome: "refused" }, "freeze"],
  [{ field: null }, ""],
])("%j", (rest, line) => expect(typed(decisionLine(decision(1, rest)))).toBe(line));

test("steps of one policy on one container fold into their whole way, and nothing else does", () => {
  const steps = [
    decision(12, { wanted: 0.2 }),
    decision(11, { target: "leaker", field: "memory_max_bytes" }),
    decision(10, { before: 0.3 }),
    decision(9, { before: 1.5, wanted: 0.3 }),
    decision(2, { outcome: "refused" }),
  ];

  const runs = runsOf(steps);

  expect(runs.map((run) => run.length)).toEqual([3, 1, 1]);
  expect(typed(runLine(runs[0] ?? []))).toBe("cpu 1.50 → 0.20 cores");
});

test("a run that ends where it began tells how far it went", () => {
  const run = [
    decision(3, { wanted: 0.2 }),
    decision(2, { wanted: 1.7 }),
    decision(1, { before: 0.2, wanted: 0.5 }),
  ];

  expect(typed(runLine(run))).toBe("cpu 0.20 – 1.70 cores");
});

test("two steps stay two lines, and a pause begins a new story", () => {
  expect(runsOf([decision(2), decision(1)])).toHaveLength(2);
  expect(runsOf([103, 102, 101, 3, 2, 1].map((second) => decision(second)))).toHaveLength(2);
});
