// Which charts a container has: a panel per hierarchy, each with few lines. The first line of a panel is the one
// that its limit is about.

import { BYTE_STEPS, CORE_STEPS, FRACTION_STEPS } from "../scale";
import { bytes, cores, percent, rate } from "../format";
import type { Metric, Num } from "../wire";

export interface Line {
  metric: Metric;
  label: string;
  /** The CSS variable that holds its colour in the scheme in force. */
  colour: string;
  dash?: number[];
  fill?: boolean;
  /** A share of the line above it. */
  part?: boolean;
}

export interface Panel {
  id: string;
  title: string;
  unit: string;
  format: (value: Num | undefined) => string;
  steps: number[];
  /** The y axis reaches at least this far. */
  floor: number;
  lines: Line[];
  limit?: Metric;
  /** A fraction that is told in the legend while it is not 0. */
  note?: { metric: Metric; label: string };
}

export const PANELS: readonly Panel[] = [
  {
    id: "cpu",
    title: "CPU",
    unit: "cores",
    format: cores,
    steps: CORE_STEPS,
    floor: 0.05,
    limit: "cpu_max_cores",
    note: { metric: "cpu_throttled_fraction", label: "throttled" },
    lines: [
      { metric: "cpu_cores", label: "total", colour: "--c-blue", fill: true },
      { metric: "cpu_user_cores", label: "user", colour: "--c-sky", dash: [5, 3] },
      { metric: "cpu_system_cores", label: "system", colour: "--c-purple", dash: [2, 3] },
    ],
  },
  {
    id: "memory",
    title: "Memory",
    unit: "",
    format: bytes,
    steps: BYTE_STEPS,
    floor: 1 << 20,
    limit: "memory_max_bytes",
    lines: [
      { metric: "memory_usage_bytes", label: "usage", colour: "--c-blue", fill: true },
      { metric: "memory_working_set_bytes", label: "working set", colour: "--c-green", dash: [5, 3] },
      { metric: "memory_anon_bytes", label: "anonymous", colour: "--c-purple", dash: [2, 3] },
    ],
  },
  {
    id: "blkio",
    title: "Block I/O",
    unit: "",
    format: rate,
    steps: BYTE_STEPS,
    floor: 4096,
    lines: [
      { metric: "io_write_bytes_per_sec", label: "write", colour: "--c-orange", fill: true },
      { metric: "io_read_bytes_per_sec", label: "read", colour: "--c-blue", dash: [5, 3] },
    ],
  },
  {
    id: "net",
    title: "Network",
    unit: "",
    format: rate,
    steps: BYTE_STEPS,
    floor: 1024,
    lines: [
      { metric: "net_rx_bytes_per_sec", label: "received", colour: "--c-green", fill: true },
      { metric: "net_tx_bytes_per_sec", label: "sent", colour: "--c-purple", dash: [5, 3] },
    ],
  },
  {
    id: "pressure",
    title: "Pressure",
    unit: "time stalled",
    format: percent,
    steps: FRACTION_STEPS,
    floor: 0.1,
    lines: [
      { metric: "cpu_pressure_fraction", label: "cpu", colour: "--c-orange", fill: true },
      { metric: "memory_pressure_fraction", label: "memory", colour: "--c-purple" },
      {
        metric: "memory_full_pressure_fraction",
        label: "all tasks",
        part: true,
        colour: "--c-purple",
        dash: [2, 3],
      },
      { metric: "io_pressure_fraction", label: "io", colour: "--c-blue", dash: [5, 3] },
    ],
  },
];

export const CHART_METRICS: Metric[] = [
  ...new Set(
    PANELS.flatMap((panel) => [
      ...panel.lines.map((line) => line.metric),
      ...(panel.limit ? [panel.limit] : []),
      ...(panel.note ? [panel.note.metric] : []),
    ]),
  ),
];
