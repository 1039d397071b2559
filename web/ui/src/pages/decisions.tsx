// What the enforcer decided and why, and which policies stand behind it.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Problem, readDecisions, readPolicies } from "../api";
import { policyName, runsOf } from "../decisiontext";
import { DecisionView } from "../parts/decision";
import { events, gapEpoch } from "../store";
import type { Decision, Policy } from "../wire";

export function DecisionsPage({ id }: { id: string | null }) {
  const decisions = useSignal<Decision[] | null>(null);
  const policies = useSignal<Policy[]>([]);
  const only = useSignal<string | null>(null);
  const newest = events.value[0]?.id ?? 0;
  useEffect(() => void load(decisions, policies), [newest, gapEpoch.value]);
  useEffect(() => {
    if (id && decisions.value) document.getElementById(`decision-${id}`)?.scrollIntoView({ block: "center" });
  }, [id, decisions.value === null]);
  const list = (decisions.value ?? []).filter((one) => only.value === null || policyName(one) === only.value);
  return (
    <section class="page-decisions" aria-label="Decisions">
      <div class="list-head">
        <h1>Decisions</h1>
        <span class="muted">why limits are what they are</span>
      </div>
      <Policies policies={policies.value} decisions={decisions.value ?? []} only={only} />
      {decisions.value?.length === 0 && (
        <div class="empty">
          <h2>No decisions yet</h2>
          <p>
            When a policy acts, is held back by a guard rail, or would have acted, it stands here with its
            evidence.
          </p>
        </div>
      )}
      {runsOf(list).map((run) => (
        <DecisionView key={run.at(-1)?.id} run={run} open={id} />
      ))}
    </section>
  );
}

async function load(decisions: { value: Decision[] | null }, policies: { value: Policy[] }): Promise<void> {
  try {
    const [list, known] = await Promise.all([readDecisions({ limit: 200 }), readPolicies()]);
    decisions.value = newestFirst(list);
    policies.value = known;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
  }
}

export function newestFirst(list: readonly Decision[]): Decision[] {
  return [...list].sort((a, b) => b.at.localeCompare(a.at) || b.id.localeCompare(a.id));
}

function Policies({
  policies,
  decisions,
  only,
}: {
  policies: readonly Policy[];
  decisions: readonly Decision[];
  only: { value: string | null };
}) {
  if (policies.length === 0) {
    return (
      <p class="muted">
        No policies are loaded. Put files into <code>/etc/cgwarden/policies.d</code>;{" "}
        <code>enforcer/policies/</code> has three to start from.
      </p>
    );
  }
  return (
    <div class="policies" role="group" aria-label="Show the decisions of">
      {policies.map((policy) => {
        const acted = decisions.filter(
          (one) => policyName(one) === policy.name && one.outcome === "applied",
        ).length;
        const chosen = only.value === policy.name;
        return (
          <button
            key={policy.name}
            type="button"
            class="policy"
            aria-pressed={chosen}
            onClick={() => (only.value = chosen ? null : policy.name)}
          >
            <strong>{policy.name}</strong>
            <span class={`mode mode-${policy.mode ?? "observe"}`}>{policy.mode ?? "observe"}</span>
            <span class="muted">
              {acted === 0 ? "has not acted" : `acted ${acted} time${acted === 1 ? "" : "s"}`}
            </span>
          </button>
        );
      })}
    </div>
  );
}
