// Decisions in the words of events, and runs of them folded: a policy that follows a load step by step is one story,
// not twenty lines.

import { changeText, fieldChanges, frozenText } from "./eventtext";
import { unix } from "./format";
import type { Decision } from "./wire";

export function policyName(decision: Decision): string {
  const { policy, owner } = decision;
  if (policy && typeof policy === "object") return policy.name;
  return policy || owner?.replace(/^policy:/, "") || "operator";
}

export function containerName(decision: Decision): string | null {
  const container = decision.container ?? decision.target;
  if (container && typeof container === "object") return container.name;
  return container || decision.candidates?.find((one) => !one.rejected)?.name || null;
}

/** What it changed, or would have, or "" where the record does not name it. */
export function decisionLine(decision: Decision): string {
  const { field, before, wanted } = decision;
  if (!field || wanted == null) return "";
  if (field === "freezer") return freezerLine(decision);
  // Limits given at launch are one record of many fields.
  const changed =
    typeof wanted === "object"
      ? fieldChanges(before, wanted)
      : fieldChanges({ [field]: before }, { [field]: wanted });
  return changed.map(changeText).join(", ");
}

/** One that did not come to pass is told as what it wanted. */
function freezerLine({ at, lease_until, outcome, wanted }: Decision): string {
  const happened = !NOT_DONE.has(outcome);
  if (wanted !== "frozen") return happened ? String(wanted) : "thaw";
  return happened ? frozenText(at, lease_until) : "freeze";
}

const NOT_DONE = new Set(["observed", "refused", "failed", "gone"]);
const RUN_LEAST = 3;
const RUN_GAP_SEC = 20;

/** Decisions, newest first, in runs: the same policy turning the same knob of the same container again and again. */
export function runsOf(decisions: readonly Decision[]): Decision[][] {
  const runs: Decision[][] = [];
  const open = new Map<string, Decision[]>();
  for (const one of decisions) {
    const key = JSON.stringify([policyName(one), containerName(one), one.field, one.outcome]);
    const run = open.get(key);
    if (run && secondsBetween(one, run.at(-1)) <= RUN_GAP_SEC) {
      run.push(one);
      continue;
    }
    const begun = [one];
    open.set(key, begun);
    runs.push(begun);
  }
  return runs.flatMap((run) => (run.length >= RUN_LEAST ? [run] : run.map((one) => [one]))).sort(newestFirst);
}

const newestFirst = (a: Decision[], b: Decision[]): number =>
  (b[0]?.at ?? "").localeCompare(a[0]?.at ?? "") || (b[0]?.id ?? "").localeCompare(a[0]?.id ?? "");

function secondsBetween(one: Decision, other: Decision | undefined): number {
  return Math.abs((unix(one.at) ?? 0) - (unix(other?.at) ?? 0));
}

/** A run as if it had been one change: from what was before it to what it led to. */
export function runLine(run: readonly Decision[]): string {
  const [newest, oldest] = [run[0], run.at(-1)];
  if (!newest || !oldest) return "";
  return decisionLine({ ...newest, before: oldest.before }) || thereAndBack(run);
}

/** A run that ended where it began went from its lowest value to its highest in between. */
function thereAndBack(run: readonly Decision[]): string {
  const values = run.flatMap(({ wanted }) => (typeof wanted === "number" ? [wanted] : []));
  const [newest] = run;
  if (!newest || values.length === 0) return "";
  const ends = { ...newest, before: Math.min(...values), wanted: Math.max(...values) };
  return decisionLine(ends).replace("→", "–");
}
