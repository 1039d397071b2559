// One container in the list. On a narrow screen the same cells become a small card: what matters first.

import { ago, bytes, cores, count, NONE, percent, rate, unix } from "../format";
import { eventLine, eventTone } from "../eventtext";
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
        <small class="command" title={container.command.join(" ")}>
          {container.command.join(" ")}
        </small>
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
      <Pair
        kind="net"
        rows={[
          ["↓", usage.net_rx_bytes_per_sec],
          ["↑", usage.net_tx_bytes_per_sec],
        ]}
      />
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
      <LastEvent event={event} />
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

function LastEvent({ event }: { event: EventRecord | undefined }) {
  const at = event ? unix(event.time) : null;
  if (!event || at === null) return <td class="col-event" />;
  return (
    <td class="col-event" data-title="Last event">
      <span class="stack-2" title={event.reason}>
        <span class={`event-text tone-${eventTone(event)}`}>{eventLine(event)}</span>
        <small>{ago(at, now.value)}</small>
      </span>
    </td>
  );
}
