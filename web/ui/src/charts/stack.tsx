// All charts of a container, one above the other on one time axis: what the cpu did when the memory did that is seen
// by looking down. Loads the history, then takes a row from each frame of the stream.

import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import { Problem, readHistory } from "../api";
import { clock } from "../format";
import { containers, gapEpoch, measuredAt } from "../store";
import { Chart, SYNC_KEY } from "./chart";
import { Lane } from "./lane";
import { CHART_METRICS, PANELS, type Panel } from "./panels";
import { KEEP_SEC, rangeSec, View } from "./view";

export function useView(name: string): View {
  const view = useMemo(() => new View(name), [name]);
  const range = rangeSec.value;
  const epoch = gapEpoch.value;
  const ended = view.endedAt.value;
  useEffect(() => void load(view, range), [view, range, epoch, ended]);
  useEffect(
    () =>
      measuredAt.subscribe((time) => {
        const usage = containers.peek().get(name)?.usage;
        if (usage && view.series.append(time, usage)) view.version.value += 1;
      }),
    [view, name],
  );
  return view;
}

// A range of 300 s may hold 301 samples: with 300 points asked for, the server would halve the resolution.
const EDGE = 10;

async function load(view: View, range: number): Promise<void> {
  try {
    // Of one that has ended, its last minutes: they lie further back.
    const ended = view.endedAt.peek();
    const since = ended === null ? range : Math.min(KEEP_SEC, Math.ceil(Date.now() / 1000 - ended) + range);
    const page = await readHistory(view.name, CHART_METRICS, since, since + EDGE);
    view.series.fill(page);
    view.history.value = page.events ?? [];
    view.filled.value = true;
    view.version.value += 1;
  } catch (error) {
    // Without history the charts fill from the stream; the page says itself when the container is gone.
    if (!(error instanceof Problem)) throw error;
  }
}

const NO_CHART: Record<string, string> = {
  none: "No network chart: this container was started with network “none”.",
  host: "No network chart: this container shares the network of the host.",
};

export function Stack({ view, network }: { view: View; network: string }) {
  const box = useRef<HTMLDivElement>(null);
  const width = useSignal(0);
  useEffect(() => {
    const plot = box.current?.querySelector(".plot");
    if (!plot) return undefined;
    const resize = new ResizeObserver(() => (width.value = plot.clientWidth));
    resize.observe(plot);
    return () => resize.disconnect();
  }, [view]);
  const shown = PANELS.filter((panel) => panel.id !== "net" || !(network in NO_CHART));
  return (
    <div
      class="stack"
      ref={box}
      tabIndex={0}
      role="group"
      aria-label="Charts. Arrow keys move the cursor."
      onKeyDown={(e) => walk(e, view, box.current)}
      onDblClick={() => (view.zoom.value = null)}
    >
      <div class="chart lane-row">
        <div class="legend" aria-live="polite">
          <Cursor view={view} panels={shown} />
        </div>
        <Lane view={view} width={width.value} />
      </div>
      {shown.map((panel, i) => (
        <Chart key={panel.id} panel={panel} view={view} last={i === shown.length - 1} />
      ))}
      {NO_CHART[network] && <p class="muted aside-note">{NO_CHART[network]}</p>}
    </div>
  );
}

function Cursor({ view, panels }: { view: View; panels: readonly Panel[] }) {
  const at = view.cursor.value;
  const time = at === null ? undefined : view.series.t[at];
  if (time === undefined) return <Latest view={view} />;
  const spoken = panels
    .map((p) => `${p.title} ${p.format(view.series.column(p.lines[0]?.metric ?? "")[at ?? 0])}`)
    .join(", ");
  return (
    <>
      <strong>{clock(time)}</strong> <span class="muted">at the cursor</span>
      <span class="sr-only">{spoken}</span>
    </>
  );
}

function Latest({ view }: { view: View }) {
  view.version.value;
  const time = view.series.t.at(-1);
  return (
    <>
      <strong>{time === undefined ? "" : clock(time)}</strong>{" "}
      <span class="muted">{view.endedAt.value === null ? "now" : "last"}</span>
    </>
  );
}

function walk(event: KeyboardEvent, view: View, box: HTMLElement | null): void {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (event.key === "Escape") view.zoom.value = null;
  const plot = (box?.querySelector(".plot") as (HTMLElement & { plot?: uPlot }) | null)?.plot;
  if (step === undefined || !plot || event.target !== box) return;
  event.preventDefault();
  const [from, to] = view.window.value;
  const last = view.series.t.length - 1;
  const next = Math.min(
    last,
    Math.max(0, (view.cursor.value ?? last + (step < 0 ? 1 : 0)) + step * (event.shiftKey ? 10 : 1)),
  );
  const time = view.series.t[next];
  if (time === undefined || time < from || time > to) return;
  plot.setCursor({ left: plot.valToPos(time, "x"), top: 10 }, true);
  uPlot
    .sync(SYNC_KEY)
    .pub(
      "mousemove",
      plot,
      plot.valToPos(time, "x"),
      10,
      plot.over.clientWidth,
      plot.over.clientHeight,
      next,
    );
}
