// One decision with its evidence, as it stands in the journal: what was measured, which condition was met, which guard
// rails it passed, what was written and what the kernel then said.

import { changeText, fieldChanges, ownerText } from "../eventtext";
import { clock, duration, percent, bytes, digits, unix } from "../format";
import { containerLink } from "../route";
import type { Decision, Input } from "../wire";
import { Writes } from "./writes";

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

export function DecisionView({
  decision,
  open = false,
  withName = true,
}: {
  decision: Decision;
  open?: boolean;
  withName?: boolean;
}) {
  const name = containerName(decision);
  return (
    <details class={`decision outcome-${decision.outcome}`} open={open} id={`decision-${decision.id}`}>
      <summary>
        <time dateTime={decision.at} title={decision.at}>
          {clock(unix(decision.at) ?? 0)}
        </time>
        <span class="outcome">{decision.outcome.replaceAll("_", " ")}</span>
        {withName && name && (
          <a class="decision-name" href={containerLink(name)}>
            {name}
          </a>
        )}
        <span class="decision-text">
          {changeOf(decision) && <span class="change">{changeOf(decision)}</span>}{" "}
          {decision.reason && <span class="reason">{decision.reason}</span>}
          {!withName && <small class="decision-by">{policyName(decision)}</small>}
        </span>
        {withName && <span class="muted decision-policy">{policyName(decision)}</span>}
      </summary>
      <Evidence decision={decision} />
    </details>
  );
}

/** What it changed, or would have: the field where the record names it, else the first kernel file. */
export function changeOf(decision: Decision): string {
  const { field, before, wanted } = decision;
  if (field && wanted != null) {
    // Limits given at launch are one record of many fields.
    const many = typeof wanted === "object";
    const changed = many
      ? fieldChanges(before, wanted)
      : fieldChanges({ [field]: before }, { [field]: wanted });
    return changed.map(changeText).join(", ");
  }
  const write = decision.writes?.[0];
  return write ? `${write.file} ${write.before ?? "–"} → ${write.value ?? write.wanted ?? ""}` : "";
}

function Evidence({ decision }: { decision: Decision }) {
  const inputs = decision.inputs ?? [];
  const rails = decision.rails ?? [];
  const writes = decision.writes ?? [];
  const passedOver = decision.candidates?.filter((one) => one.rejected) ?? [];
  return (
    <div class="evidence">
      {inputs.length > 0 && (
        <Block title="Measured">
          {inputs.map((one, i) => (
            <div key={i}>
              {inputText(one)}
              {one.source && <small class="muted"> {one.source}</small>}
            </div>
          ))}
        </Block>
      )}
      {decision.predicate != null && (
        <Block title="Condition">
          <Predicate tree={decision.predicate} />
        </Block>
      )}
      {rails.length > 0 && (
        <Block title="Guard rails">
          <ul class="rails">
            {rails.map((one) => (
              <li key={one.rail} class={`rail-${one.result}`} title={one.detail}>
                {one.rail}
                {one.result !== "pass" && ` ${one.result}`}
                {one.result !== "pass" && one.detail ? `: ${one.detail}` : ""}
              </li>
            ))}
          </ul>
        </Block>
      )}
      {passedOver.length > 0 && (
        <Block title="Passed over">
          {passedOver.map((one) => (
            <div key={one.name}>
              {one.name}: {one.rejected}
            </div>
          ))}
        </Block>
      )}
      {writes.length > 0 && (
        <Block title="Kernel">
          <Writes
            writes={writes}
            planned={decision.outcome === "observed" || decision.outcome === "refused"}
          />
        </Block>
      )}
      <Block title="Record">
        <code>{decision.id}</code>
        <span class="muted">
          {" "}
          {decision.owner ? `owner ${ownerText(decision.owner)}` : "no owner"}
          {leaseText(decision)}
          {decision.verdict ? ` · verdict: ${decision.verdict}` : ""}
        </span>
      </Block>
    </div>
  );
}

function Block({ title, children }: { title: string; children: preact.ComponentChildren }) {
  return (
    <div class="block">
      <h4>{title}</h4>
      <div>{children}</div>
    </div>
  );
}

function leaseText(decision: Decision): string {
  const ends = unix(decision.lease_until);
  const at = unix(decision.at);
  return ends === null || at === null ? "" : ` · lease of ${duration(Math.round(ends - at))}`;
}

export function inputText(input: Input): string {
  const where = input.of && input.of !== "target" ? ` of the ${input.of}` : "";
  const limit = input.threshold == null ? "" : ` against ${inUnit(input.threshold, input.unit)}`;
  return `${input.signal}${where} ${inUnit(input.value, input.unit)}${limit}`;
}

function inUnit(value: number | null | undefined, unit: string | undefined): string {
  if (value == null) return "unknown";
  if (unit === "ratio" || unit === "fraction") return percent(value);
  if (unit === "bytes") return bytes(value);
  return `${digits(value)}${unit ? ` ${unit}` : ""}`;
}

/** A tree of conditions: leaves with their truth and how long they held, under all, any, not. */
function Predicate({ tree }: { tree: unknown }) {
  if (Array.isArray(tree)) {
    return (
      <>
        {tree.map((one, i) => (
          <Predicate key={i} tree={one} />
        ))}
      </>
    );
  }
  if (tree === null || typeof tree !== "object") return <code>{String(tree)}</code>;
  const node = tree as Record<string, unknown>;
  if (typeof node["leaf"] === "string") {
    const held = typeof node["held_s"] === "number" ? `held ${digits(node["held_s"])} s` : "";
    const need =
      typeof node["need_s"] === "number" && node["need_s"] > 0 ? ` of ${digits(node["need_s"])} s` : "";
    return (
      <div class={node["true"] ? "leaf true" : "leaf"}>
        <code>{node["leaf"]}</code>{" "}
        <small class="muted">
          {node["true"] ? "true" : "false"}
          {held && `, ${held}${need}`}
        </small>
      </div>
    );
  }
  return (
    <ul class="tree">
      {Object.entries(node)
        .filter(([, value]) => value !== null && typeof value === "object")
        .map(([key, value]) => (
          <li key={key}>
            <small class="muted">{key}</small>
            {Array.isArray(value) ? (
              value.map((one, i) => <Predicate key={i} tree={one} />)
            ) : (
              <Predicate tree={value} />
            )}
          </li>
        ))}
    </ul>
  );
}
