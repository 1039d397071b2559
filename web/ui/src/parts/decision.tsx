// One decision with its evidence, as it stands in the journal: what was measured, which condition was met, which guard
// rails it passed, what was written and what the kernel then said.

import { containerName, policyName, runLine } from "../decisiontext";
import { ownerText } from "../eventtext";
import { clock, duration, percent, bytes, digits, unbroken, unix } from "../format";
import { reasonText } from "../reason";
import { containerLink } from "../route";
import type { Decision, Input } from "../wire";
import { Writes } from "./writes";

interface Props {
  /** One decision, or a run of them, newest first. */
  run: readonly Decision[];
  open?: string | null;
  withName?: boolean;
}

export function DecisionView({ run, open = null, withName = true }: Props) {
  const [decision] = run;
  if (!decision) return null;
  const many = run.length > 1;
  const name = containerName(decision);
  const id = many ? undefined : `decision-${decision.id}`;
  return (
    <details
      class={`decision outcome-${decision.outcome}${withName ? " with-name" : ""}`}
      open={run.some((one) => one.id === open)}
      id={id}
    >
      <summary>
        <time dateTime={decision.at} title={decision.at}>
          {clock(unix(decision.at) ?? 0)}
        </time>
        {withName && (
          <span class="event-name">
            {name ? <a href={containerLink(name)}>{name}</a> : <span class="muted">host</span>}
          </span>
        )}
        <Headline run={run} decision={decision} />
      </summary>
      {many ? (
        <div class="steps">
          {run.map((one) => (
            <DecisionView key={one.id} run={[one]} open={open} withName={false} />
          ))}
        </div>
      ) : (
        <Evidence decision={decision} />
      )}
    </details>
  );
}

function Headline({ run, decision }: { run: readonly Decision[]; decision: Decision }) {
  const oldest = run.at(-1);
  const steps =
    run.length > 1
      ? `${run.length} steps since ${clock(unix(oldest?.at) ?? 0)}`
      : decision.field === "freezer" // its headline says it already
        ? ""
        : leaseText(decision).replace(/^ · lease of/, "for");
  const line = runLine(run);
  return (
    <span class="event-body">
      <span class="event-title">{line || decision.outcome.replaceAll("_", " ")}</span>
      {decision.outcome !== "applied" && line && (
        <span class="outcome">{decision.outcome.replaceAll("_", " ")}</span>
      )}
      {decision.reason && <span class="reason">{reasonText(decision.reason)}</span>}
      <span class="muted by">
        {[byText(decision), heldBack(decision), decision.outcome === "applied" ? steps || "applied" : steps]
          .filter(Boolean)
          .join(" · ")}
      </span>
    </span>
  );
}

/** Which guard rail said no; its numbers stand in the evidence. */
function heldBack(decision: Decision): string {
  const rail = decision.rails?.find((one) => one.result === "refuse" || one.result === "halt");
  return rail ? `held back by ${rail.rail}` : "";
}

function byText(decision: Decision): string {
  const name = policyName(decision);
  return decision.policy || decision.owner?.startsWith("policy:") ? `policy ${name}` : name;
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
      {decision.formula && (
        <Block title="Formula">
          <code>{unbroken(decision.formula)}</code>
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
  return `${digits(value)}${unit ? `\u00a0${unit}` : ""}`;
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
