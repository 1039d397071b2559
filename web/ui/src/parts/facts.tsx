// What does not move: limits with who set them, what is run, and where its cgroups are.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { fieldTitle, ownerText } from "../eventtext";
import { limit } from "../format";
import type { Inspected } from "../wire";
import { limiting } from "./actions";

const QUIET = new Set(["cpu_period_usec", "cpuset_cpus_effective", "cpuset_mems_effective"]);

export function Facts({ container }: { container: Inspected }) {
  return (
    <>
      <LimitFacts container={container} />
      <section>
        <h2>Program</h2>
        <dl class="facts">
          <Command command={container.command} />
          <Fact title="image">
            <code>{container.image}</code>
          </Fact>
          <Fact title="class">{container.class}</Fact>
          <Fact title="network">{container.network}</Fact>
          <Fact title="hostname">{container.hostname}</Fact>
          {container.pid !== null && <Fact title="pid">{container.pid}</Fact>}
          {Object.entries(container.labels).map(([key, value]) => (
            <Fact key={key} title={key}>
              {value}
            </Fact>
          ))}
        </dl>
      </section>
      <section>
        <h2>Control groups</h2>
        <Paths cgroups={container.cgroups} />
      </section>
    </>
  );
}

function Fact({ title, children }: { title: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{title}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** A whole script may be an argument: three lines of it, and the rest when it is asked for. */
function Command({ command }: { command: readonly string[] }) {
  const text = command.join(" ");
  const box = useRef<HTMLElement>(null);
  const all = useSignal(false);
  const cut = useSignal(false);
  useEffect(() => {
    const code = box.current;
    if (code && !all.peek()) cut.value = code.scrollHeight > code.clientHeight + 2;
  }, [text]);
  return (
    <div class="command-fact">
      <dt>command</dt>
      <dd>
        <code id="command" ref={box} class={all.value ? "whole" : "clamped"}>
          {text}
        </code>
        {cut.value && (
          <button
            type="button"
            class="link"
            aria-expanded={all.value}
            aria-controls="command"
            onClick={() => (all.value = !all.value)}
          >
            {all.value ? "show less" : "show all"}
          </button>
        )}
      </dd>
    </div>
  );
}

/** Those that differ from a fresh cgroup or that somebody owns; the others would only be noise. */
function LimitFacts({ container }: { container: Inspected }) {
  const owners = container.owners ?? {};
  const ended = container.limits === null;
  const shown = Object.entries(container.limits ?? container.spec_limits ?? {}).filter(
    ([field, value]) =>
      !QUIET.has(field) &&
      value !== null &&
      value !== "" &&
      (owners[field] || (value !== "max" && value !== false && !isDefault(field, value))),
  );
  return (
    <section>
      <h2>
        Limits{" "}
        {container.state === "exited" ? (
          <small>as it was started</small>
        ) : (
          <button type="button" class="link" onClick={() => (limiting.value = container.name)}>
            change
          </button>
        )}
      </h2>
      {shown.length === 0 ? (
        <p class="muted">{ended ? "It had none." : "None: it may use what the host has."}</p>
      ) : (
        <dl class="facts limits">
          {shown.map(([field, value]) => (
            <Fact key={field} title={fieldTitle(field)}>
              {limit(field, value)}
              {owners[field] && (
                <small class={owners[field].startsWith("policy") ? "owner by-policy" : "owner"}>
                  {ownerText(owners[field])}
                </small>
              )}
            </Fact>
          ))}
        </dl>
      )}
    </section>
  );
}

// Two schedulers, two defaults of the weight.
const DEFAULTS: Record<string, unknown[]> = {
  cpu_shares: [1024],
  blkio_weight: [100, 500],
  cpu_burst_usec: [0],
};

function isDefault(field: string, value: unknown): boolean {
  if (field.startsWith("cpuset_")) return true;
  if (typeof value === "object") return Object.keys(value ?? {}).length === 0;
  return DEFAULTS[field]?.includes(value) ?? false;
}

/** One directory per hierarchy: where there are many, they wait until they are asked for. */
function Paths({ cgroups }: { cgroups: Record<string, string> }) {
  const paths = byPath(cgroups);
  if (paths.length === 0) return <p class="muted">None any more.</p>;
  const list = (
    <dl class="facts paths">
      {paths.map(([path, names]) => (
        <Fact key={path} title={names.join(", ")}>
          <code>{path}</code>
        </Fact>
      ))}
    </dl>
  );
  if (paths.length <= 2) return list;
  return (
    <details class="quiet">
      <summary>{paths.length} directories, one per hierarchy</summary>
      {list}
    </details>
  );
}

/** Controllers that share a directory stand in one line. */
function byPath(cgroups: Record<string, string>): [string, string[]][] {
  const paths = new Map<string, string[]>();
  for (const [controller, path] of Object.entries(cgroups))
    paths.set(path, [...(paths.get(path) ?? []), controller]);
  return [...paths];
}
