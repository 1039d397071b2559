// Where a chart's axes end and which steps they have. Pure, since a limit that is off the chart, a flat zero and a
// single point are the cases that go wrong.

import type { Num } from "./wire";

/** A limit this many times above the data stands outside the chart, or the data would be a flat line. */
const LIMIT_REACH = 6;
const HEADROOM = 1.08;

export interface YScale {
  max: number;
  /** True where the limit is above the chart. */
  limitOutside: boolean;
}

/** The top of the y axis for data up to `dataMax` under `limit`; at least `floor`, so that noise stays small. */
export function yScale(dataMax: Num, limit: Num, floor: number): YScale {
  const data = Math.max(dataMax ?? 0, floor);
  if (limit === null) return { max: data * HEADROOM, limitOutside: false };
  const inside = limit <= data * LIMIT_REACH;
  return { max: Math.max(data, inside ? limit : 0) * HEADROOM, limitOutside: !inside };
}

const LEAST_SEC = 60;

/** Where the window begins: at the first measurement of a container that is younger than the range. */
export function windowStart(to: number, range: number, first: number | undefined): number {
  return Math.max(to - range, Math.min(first ?? -Infinity, to - LEAST_SEC));
}

/** The largest number of some columns between two indices, or null where there is none. */
export function maxOf(columns: readonly (readonly Num[])[], from: number, to: number): Num {
  let max: Num = null;
  for (const column of columns) {
    for (let i = Math.max(0, from); i <= to && i < column.length; i += 1) {
      const value = column[i];
      if (value != null && (max === null || value > max)) max = value;
    }
  }
  return max;
}

/** The first index whose time is at or after `time`. */
export function firstAt(t: readonly number[], time: number): number {
  let low = 0;
  let high = t.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((t[middle] ?? 0) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Steps of a byte axis: 1, 2, 4 ... so that its labels are round in KiB, MiB and GiB. */
export const BYTE_STEPS: number[] = Array.from({ length: 50 }, (_, power) => 2 ** power);
export const FRACTION_STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1];
export const CORE_STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128];
export const TIME_STEPS = [5, 10, 15, 30, 60, 120, 300, 600];

/** The points of a sparkline in a box of `width` by `height`: one string per unbroken piece. */
export function sparkPieces(
  values: readonly Num[],
  size: number,
  max: number,
  width: number,
  height: number,
): string[] {
  const pieces: string[] = [];
  let piece: string[] = [];
  const step = width / Math.max(1, size - 1);
  const start = width - (values.length - 1) * step;
  values.forEach((value, i) => {
    if (value === null) {
      if (piece.length > 1) pieces.push(piece.join(" "));
      piece = [];
      return;
    }
    const y = height - (max > 0 ? Math.min(1, value / max) : 0) * height;
    piece.push(`${(start + i * step).toFixed(1)},${y.toFixed(1)}`);
  });
  if (piece.length > 1) pieces.push(piece.join(" "));
  return pieces;
}
