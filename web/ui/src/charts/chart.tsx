// One panel: a uPlot canvas with its limit, marks and frozen spans, and beside it the legend with the values at the
// cursor, or the newest ones. uPlot itself knows nothing of assistive technology: the wrapper does.

import { effect } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import { ink, resolve } from "../colour";
import { clock, percent } from "../format";
import { firstAt, maxOf, TIME_STEPS, yScale } from "../scale";
import { schemeEpoch } from "../theme";
import type { Num } from "../wire";
import { paintFrozen, paintMarks } from "./paint";
import type { Panel } from "./panels";
import type { View } from "./view";

const HEIGHT = 116;
const TIME_AXIS = 24;
export const AXIS_WIDTH = 66;
/** Room for half of the last label of the time axis. */
export const RIGHT_PAD = 18;
export const SYNC_KEY = "container";

export function Chart({ panel, view, last }: { panel: Panel; view: View; last: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => (box.current ? mount(box.current, panel, view, last) : undefined), [panel, view, last]);
  return (
    <section class="chart" aria-labelledby={`chart-${panel.id}`}>
      <Legend panel={panel} view={view} />
      <div class="plot" ref={box} data-chart={panel.id} />
    </section>
  );
}

/** Draw into `box` and follow the view; returns what ends it. */
function mount(box: HTMLElement, panel: Panel, view: View, last: boolean): () => void {
  let plot: uPlot | null = null;
  const stopPainting = effect(() => {
    schemeEpoch.value;
    plot?.destroy();
    plot = new uPlot(options(panel, view, last, box.clientWidth), dataOf(panel, view), box);
    (box as HTMLElement & { plot?: uPlot }).plot = plot;
  });
  const stopFollowing = effect(() => {
    view.version.value;
    view.marks.value;
    const [min, max] = view.window.value;
    plot?.batch(() => {
      plot?.setData(dataOf(panel, view), false);
      plot?.setScale("x", { min, max });
    });
  });
  const resize = new ResizeObserver(() => plot?.setSize({ width: box.clientWidth, height: heightOf(last) }));
  resize.observe(box);
  return () => {
    resize.disconnect();
    stopFollowing();
    stopPainting();
    plot?.destroy();
  };
}

const heightOf = (last: boolean): number => HEIGHT + (last ? TIME_AXIS : 0);

function dataOf(panel: Panel, view: View): uPlot.AlignedData {
  const metrics = panel.lines.map((line) => view.series.column(line.metric));
  return [view.series.t, ...metrics, ...(panel.limit ? [view.series.column(panel.limit)] : [])];
}

function options(panel: Panel, view: View, last: boolean, width: number): uPlot.Options {
  const inks = ink();
  return {
    width: Math.max(width, 120),
    height: heightOf(last),
    padding: [8, RIGHT_PAD, last ? 0 : 6, 0],
    legend: { show: false },
    cursor: {
      sync: { key: SYNC_KEY, setSeries: false },
      drag: { x: true, y: false, setScale: false },
      points: { size: 6, width: 2 },
      y: false,
    },
    scales: { x: { time: false, auto: false }, y: { range: () => yRange(panel, view) } },
    axes: [timeAxis(last, inks.muted, inks.grid), valueAxis(panel, inks.muted, inks.grid)],
    series: [{}, ...panel.lines.map(lineSeries), ...(panel.limit ? [limitSeries(inks.limit)] : [])],
    hooks: {
      drawAxes: [(plot) => paintFrozen(plot, view, inks)],
      draw: [(plot) => paintMarks(plot, view)],
      setCursor: [(plot) => (view.cursor.value = plot.cursor.idx ?? null)],
      setSelect: [(plot) => zoomTo(plot, view)],
    },
  };
}

function yRange(panel: Panel, view: View): [number, number] {
  return [0, scaleNow(panel, view).max];
}

function scaleNow(panel: Panel, view: View) {
  const [from, to] = view.window.peek();
  const t = view.series.t;
  const first = firstAt(t, from);
  const end = firstAt(t, to + 0.001) - 1;
  const lines = panel.lines.map((line) => view.series.column(line.metric));
  const limit = panel.limit ? maxOf([view.series.column(panel.limit)], first, end) : null;
  return yScale(maxOf(lines, first, end), limit, panel.floor);
}

function timeAxis(shown: boolean, stroke: string, grid: string): uPlot.Axis {
  return {
    incrs: TIME_STEPS,
    space: 80,
    size: shown ? TIME_AXIS : 0,
    stroke,
    font: "11px system-ui, sans-serif",
    grid: { stroke: grid, width: 1 },
    ticks: { show: false },
    gap: 6,
    values: (_plot, times, _axis, _space, step) =>
      times.map((t) => (shown ? (step < 60 ? clock(t) : clock(t).slice(0, 5)) : "")),
  };
}

function valueAxis(panel: Panel, stroke: string, grid: string): uPlot.Axis {
  return {
    incrs: panel.steps,
    space: 25,
    size: AXIS_WIDTH,
    stroke,
    font: "11px system-ui, sans-serif",
    grid: { stroke: grid, width: 1 },
    ticks: { show: false },
    gap: 8,
    values: (_plot, values) => values.map((value) => (value === 0 ? "0" : tickText(panel.format(value)))),
  };
}

/** A step of the axis is round: "5 %", not "5.0 %". */
const tickText = (text: string): string => text.replace(/\.0(?=\u00a0)/, "");

function lineSeries(line: Panel["lines"][number]): uPlot.Series {
  const stroke = resolve(line.colour);
  return {
    stroke,
    width: line.dash ? 1.25 : 1.5,
    points: { show: false },
    ...(line.dash ? { dash: line.dash } : {}),
    ...(line.fill ? { fill: `${stroke}1f` } : {}),
  };
}

function limitSeries(stroke: string): uPlot.Series {
  const paths = uPlot.paths.stepped?.({ align: 1 });
  return { stroke, width: 1.5, dash: [7, 4], points: { show: false }, ...(paths ? { paths } : {}) };
}

function zoomTo(plot: uPlot, view: View): void {
  const { left, width } = plot.select;
  if (width < 8) return;
  view.zoom.value = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
}

function Legend({ panel, view }: { panel: Panel; view: View }) {
  view.version.value;
  view.window.value;
  const at = view.cursor.value ?? view.series.t.length - 1;
  const value = (metric: string): Num => view.series.column(metric)[at] ?? null;
  const limit = panel.limit ? value(panel.limit) : null;
  const outside = useMemo(
    () => limit !== null && scaleNow(panel, view).limitOutside,
    [limit, view.version.value],
  );
  return (
    <div class="legend">
      <h3 id={`chart-${panel.id}`}>
        {panel.title} {panel.unit && <small>{panel.unit}</small>}
      </h3>
      <dl>
        {panel.lines.map((line) => (
          <div key={line.metric}>
            <dt class={line.part ? "part" : ""}>
              <Swatch colour={line.colour} dash={line.dash} />
              {line.label}
            </dt>
            <dd>{panel.format(value(line.metric))}</dd>
          </div>
        ))}
        {panel.note && (value(panel.note.metric) ?? 0) >= 0.005 && (
          <div>
            <dt class="indent">{panel.note.label}</dt>
            <dd>{percent(value(panel.note.metric))}</dd>
          </div>
        )}
        {panel.limit && (
          <div class="limit">
            <dt>
              <Swatch colour="--limit" dash={[7, 4]} />
              limit
            </dt>
            <dd class={limit === null ? "muted" : ""} title={outside ? "above the chart" : undefined}>
              {limit === null ? "none" : panel.format(limit)}
              {outside && " ↑"}
            </dd>
          </div>
        )}
      </dl>
    </div>
  );
}

function Swatch({ colour, dash }: { colour: string; dash?: number[] | undefined }) {
  return (
    <svg class="swatch" width="18" height="8" aria-hidden="true">
      <line
        x1="0"
        y1="4"
        x2="18"
        y2="4"
        stroke={`var(${colour})`}
        stroke-width="2"
        stroke-dasharray={dash?.join(" ")}
      />
    </svg>
  );
}
