// The first page: the host in a band, then every container in one table. Rows do not jump: the order is taken anew
// only every few seconds, and never under the pointer.

import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { useKeys } from "../keys";
import { matches, sorted, type Column, type Order } from "../order";
import { limiting, toggleFreeze } from "../parts/actions";
import { HostBand } from "../parts/hostband";
import { Row } from "../parts/row";
import { useSparkHistory } from "../parts/sparkhistory";
import { containerLink, go } from "../route";
import { containers, events, loaded, paused } from "../store";
import type { Container, EventRecord } from "../wire";

const COLUMNS: readonly [Column, string][] = [
  ["name", "Container"],
  ["state", "State"],
  ["cpu", "CPU"],
  ["memory", "Memory"],
  ["io", "Block I/O"],
  ["net", "Network"],
  ["pids", "Pids"],
  ["pressure", "Pressure"],
  ["event", "Last event"],
];
const REORDER_MS = 4000;

export function ContainersPage() {
  useSparkHistory();
  return (
    <>
      <HostBand />
      <List />
    </>
  );
}

function List() {
  const filter = useSignal("");
  const order = useSignal<Order>({ column: "name", down: false });
  const selected = useSignal<string | null>(null);
  const input = useRef<HTMLInputElement>(null);
  const live = [...containers.value.values()];
  const all = useStill(live);
  const newest = useNewestEvents();
  const rows = useSteadyOrder(
    all.filter((one) => matches(one, filter.value)),
    order.value,
    (name) => newest.get(name)?.id ?? 0,
  );
  useListKeys(rows, selected, input);
  if (!loaded.value) return <p class="muted page-note">Reading…</p>;
  return (
    <section class="list" aria-label="Containers">
      <div class="list-head">
        <h1>Containers</h1>
        <span class="muted">{countText(live)}</span>
        <span class="spacer" />
        <label class="filter" hidden={live.length === 0}>
          <span class="sr-only">Filter containers</span>
          <input
            ref={input}
            type="search"
            placeholder="Filter"
            autocomplete="off"
            spellcheck={false}
            value={filter.value}
            onInput={(e) => (filter.value = e.currentTarget.value)}
            onKeyDown={(e) =>
              e.key === "Escape" && (e.preventDefault(), (filter.value = ""), e.currentTarget.blur())
            }
          />
          <kbd aria-hidden="true">/</kbd>
        </label>
      </div>
      {live.length === 0 ? (
        <Empty />
      ) : (
        <table class="containers">
          <thead>
            <tr>
              {COLUMNS.map(([column, title]) => (
                <th
                  key={column}
                  scope="col"
                  class={`col-${column}`}
                  aria-sort={
                    order.value.column === column
                      ? order.value.down
                        ? "descending"
                        : "ascending"
                      : undefined
                  }
                >
                  <button type="button" onClick={() => (order.value = next(order.value, column))}>
                    {title}
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((one) => (
              <Row
                key={one.name}
                container={one}
                event={newest.get(one.name)}
                selected={selected.value === one.name}
                onSelect={() => (selected.value = one.name)}
              />
            ))}
            {rows.length === 0 && (
              <tr>
                <td class="no-hit" colSpan={COLUMNS.length}>
                  Nothing matches “{filter.value}”.{" "}
                  <button type="button" class="link" onClick={() => (filter.value = "")}>
                    Show all
                  </button>
                </td>
              </tr>
            )}
          </tbody>
        </table>
      )}
    </section>
  );
}

function countText(list: readonly Container[]): string {
  const counts = new Map<string, number>();
  for (const { state } of list) counts.set(state, (counts.get(state) ?? 0) + 1);
  return ["running", "frozen", "created", "exited"]
    .filter((state) => counts.has(state))
    .map((state) => `${counts.get(state)} ${state}`)
    .join(" · ");
}

/** A number column starts with its largest value. */
function next(order: Order, column: Column): Order {
  if (order.column === column) return { column, down: !order.down };
  return { column, down: column !== "name" && column !== "state" };
}

/** The list as it was when the page was told to stand still. */
function useStill(live: readonly Container[]): readonly Container[] {
  const kept = useRef(live);
  if (!paused.value) kept.current = live;
  return kept.current;
}

function useNewestEvents(): ReadonlyMap<string, EventRecord> {
  const list = events.value;
  return useMemo(() => {
    const newest = new Map<string, EventRecord>();
    for (const event of list)
      if (event.container && !newest.has(event.container.name)) newest.set(event.container.name, event);
    return newest;
  }, [list]);
}

function useSteadyOrder(
  rows: readonly Container[],
  order: Order,
  lastEvent: (name: string) => number,
): Container[] {
  const beat = useSignal(0);
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.querySelector("table.containers tbody:hover")) beat.value += 1;
    }, REORDER_MS);
    return () => clearInterval(timer);
  }, []);
  const members = rows
    .map((one) => one.name)
    .sort()
    .join("\n");
  const names = useMemo(
    () => sorted(rows, order, lastEvent).map((one) => one.name),
    [members, order, beat.value],
  );
  const byName = new Map(rows.map((one) => [one.name, one]));
  return names.flatMap((name) => byName.get(name) ?? []);
}

function useListKeys(
  rows: readonly Container[],
  selected: { value: string | null },
  input: { current: HTMLInputElement | null },
): void {
  const chosen = (): Container | undefined => rows.find((one) => one.name === selected.value);
  const move = (step: number): void => {
    const at = rows.findIndex((one) => one.name === selected.value);
    const to =
      rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + step))];
    if (!to) return;
    selected.value = to.name;
    requestAnimationFrame(() => document.querySelector("tr.selected")?.scrollIntoView({ block: "nearest" }));
  };
  const withChosen = (run: (one: Container) => void) => () => {
    const one = chosen();
    if (one) run(one);
  };
  useKeys([
    { keys: "/", does: "filter the list", run: () => input.current?.focus() },
    { keys: "j", does: "next row", run: () => move(1) },
    { keys: "k", does: "previous row", run: () => move(-1) },
    { keys: "Enter", does: "open the row", run: withChosen((one) => go(containerLink(one.name))) },
    { keys: "f", does: "freeze or thaw", run: withChosen((one) => void toggleFreeze(one)) },
    {
      keys: "l",
      does: "change limits",
      run: withChosen((one) => one.state !== "exited" && (limiting.value = one.name)),
    },
  ]);
}

function Empty() {
  return (
    <div class="empty">
      <h2>No containers yet</h2>
      <p>Start one in a terminal and it appears here within a second:</p>
      <pre>
        <code>cgwarden run -d --name hello --rootfs / --memory 64M -- sleep 600</code>
      </pre>
      <p class="muted">
        Or see four at work, with policies: <code>make demo</code>
      </p>
    </div>
  );
}
