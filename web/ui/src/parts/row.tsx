// One container in the list. On a narrow screen the same cells become a small card: what matters first.

import { shortCommand } from "../command";
import { ago, bytes, cores, count, NONE, percent, rate, unix } from "../format";
import { eventLine, eventTone } from "../eventtext";
import { reasonText } from "../reason";
import { containerLink, go } from "../route";
import { now, spark } from "../store";
import type { Container, EventRecord, Num } from "../wire";
import { Meter, Stalls } from "./meter";
import { Spark } from "./spark";
import { StateBadge } from "./state";

interface Props {
  container: Container;
  event: EventRecord | undefined;
  selected: boolean;
  onSelect: () => void;
}

/** Networks whose counters are no container's own. */
const OTHER_NETWORKS: Record<string, string> = {
  none: "It has a network namespace of its own without interfaces",
  host: "It shares the network of the host",
};

/** A limit of the container as a number; null where it is unlimited or not offered. */
function limitOf(container: Container, field: "cpu_max_cores" | "memory_max_bytes" | "pids_max"): Num {
  if (container.state === "exited") return null;
  const value = container.limits?.[field] ?? container.usage?.[field];
  return typeof value === "number" ? value : null;
}

export function Row({ container, event, selected, onSelect }: Props) {
  const usage = container.state === "exited" ? {} : (container.usage ?? {});
  const open = (click: MouseEvent): void => {
    onSelect();
    if (!(click.target as HTMLElement).closest("a, button") && !getSelection()?.toString())
      go(containerLink(container.name));
  };
  return (
    <tr
      class={`row-${container.state}${selected ? " selected" : ""}${container.stale ? " stale" : ""}`}
      aria-selected={selected}
      onClick={open}
    >
      <td class="col-name">
        <a href={containerLink(container.name)}>{container.name}</a>
        <small class="command">{shortCommand(container.command)}</small>
      </td>
      <td class="col-state">
        <StateBadge container={container} />
      </td>
      <Cpu container={container} value={usage.cpu_cores} throttled={usage.cpu_throttled_fraction} />
      <Memory container={container} value={usage.memory_usage_bytes} />
      <Pair
        kind="io"
        rows={[
          ["R", usage.io_read_bytes_per_sec],
          ["W", usage.io_write_bytes_per_sec],
        ]}
      />
      <Network container={container} rx={usage.net_rx_bytes_per_sec} tx={usage.net_tx_bytes_per_sec} />
      <td class="col-pids" data-title="Pids">
        <span class="stack-2">
          <span>{count(usage.pids_current)}</span>
          <small>{of(limitOf(container, "pids_max"), String)}</small>
        </span>
      </td>
      <td class="col-pressure" data-title="Pressure">
        <Stalls
          cpu={usage.cpu_pressure_fraction}
          memory={usage.memory_pressure_fraction}
          io={usage.io_pressure_fraction}
        />
      </td>
      <LastEvent container={container} event={event} />
    </tr>
  );
}

const of = (limit: Num, format: (value: number) => string): string =>
  limit === null ? "" : `of ${format(limit)}`;

function Cpu({
  container,
  value,
  throttled,
}: {
  container: Container;
  value: Num | undefined;
  throttled: Num | undefined;
}) {
  const limit = limitOf(container, "cpu_max_cores");
  const held = throttled != null && throttled > 0.01;
  return (
    <td class="col-cpu" data-title="CPU">
      <span class="figure-spark">
        <span class="stack-2">
          <span>{cores(value)}</span>
          <small title={held ? `throttled in ${percent(throttled)} of the periods` : undefined}>
            {of(limit, cores)}
          </small>
        </span>
        {container.state !== "exited" && (
          <Spark values={spark(container.name, "cpu_cores").list()} limit={limit} floor={0.05} />
        )}
      </span>
    </td>
  );
}

function Memory({ container, value }: { container: Container; value: Num | undefined }) {
  const limit = limitOf(container, "memory_max_bytes");
  const fraction = value != null && limit !== null && limit > 0 ? value / limit : null;
  return (
    <td class="col-memory" data-title="Memory">
      <span class="stack-2">
        <span class="memory-line">
          <span>{bytes(value)}</span>
          <small>
            {limit === null
              ? value == null
                ? ""
                : "no limit"
              : `${fraction === null ? NONE : percent(fraction)} of ${bytes(limit)}`}
          </small>
        </span>
        {fraction !== null && <Meter fraction={fraction} label="Memory used of the limit:" />}
      </span>
    </td>
  );
}

function Pair({ kind, rows }: { kind: "io" | "net"; rows: [string, Num | undefined][] }) {
  const title = kind === "io" ? "Block I/O" : "Network";
  if (rows.every(([, value]) => value == null))
    return (
      <td class={`col-${kind}`} data-title={title}>
        <span class="muted">{NONE}</span>
      </td>
    );
  return (
    <td class={`col-${kind}`} data-title={title}>
      <span class="stack-2 pair">
        {rows.map(([letter, value]) => (
          <span key={letter} class={value != null && value < 1 ? "zero" : ""}>
            <small>{letter}</small> {rate(value)}
          </span>
        ))}
      </span>
    </td>
  );
}

function Network({ container, rx, tx }: { container: Container; rx: Num | undefined; tx: Num | undefined }) {
  const why = OTHER_NETWORKS[container.network];
  if (!why || (rx ?? 0) > 0 || (tx ?? 0) > 0)
    return (
      <Pair
        kind="net"
        rows={[
          ["↓", rx],
          ["↑", tx],
        ]}
      />
    );
  return (
    <td class="col-net" data-title="Network">
      <span class="muted" title={why}>
        {container.network}
      </span>
    </td>
  );
}

/** The newest event that is still known; else what the container itself tells. */
function LastEvent({ container, event }: { container: Container; event: EventRecord | undefined }) {
  const ended = container.state === "exited";
  const at = unix(event?.time ?? (ended ? container.finished_at : container.started_at));
  if (at === null) return <td class="col-event" />;
  return (
    <td class="col-event" data-title="Last event">
      <span class="stack-2" title={reasonText(event?.reason ?? "")}>
        <span class={`event-text tone-${event ? eventTone(event) : "quiet"}`}>
          {event ? eventLine(event) : ended ? "exited" : "started"}
        </span>
        <small>{ago(at, now.value)}</small>
      </span>
    </td>
  );
}
