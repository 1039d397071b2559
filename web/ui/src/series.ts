// The last minutes of some metrics on one clock, in the columns that uPlot draws: history fills them, the stream
// appends. A hole in time gets a row of nulls, so that no line is drawn where nothing was measured.

import type { History, Num } from "./wire";

const HOLE_SEC = 4.5;
const SLACK = 120;

export class Series {
  t: number[] = [];
  columns = new Map<string, Num[]>();

  constructor(
    readonly metrics: readonly string[],
    readonly keepSec: number,
  ) {
    for (const metric of metrics) this.columns.set(metric, []);
  }

  column(metric: string): Num[] {
    return this.columns.get(metric) ?? [];
  }

  last(metric: string): Num {
    return this.column(metric).at(-1) ?? null;
  }

  /** Replace everything by a page of history; what the stream brought after its end stays. */
  fill(page: History): void {
    const end = page.t.at(-1) ?? 0;
    const keptFrom = this.t.findIndex((time) => time > end + 0.25);
    const kept = keptFrom < 0 ? this.t.length : keptFrom;
    const tail = this.t.slice(kept);
    this.t = [...page.t, ...tail];
    for (const metric of this.metrics) {
      const old = this.column(metric).slice(kept);
      const column = page.metrics[metric]?.avg ?? page.t.map(() => null);
      this.columns.set(metric, [...column, ...old]);
    }
  }

  /** One row; older rows than `keepSec` go. A row that is not newer than the last one is dropped. */
  append(time: number, values: Record<string, unknown>): boolean {
    const last = this.t.at(-1);
    if (last !== undefined && time <= last) return false;
    if (last !== undefined && time - last > HOLE_SEC) this.push(last + 1, {});
    this.push(time, values);
    this.trim(time - this.keepSec);
    return true;
  }

  private push(time: number, values: Record<string, unknown>): void {
    this.t.push(time);
    for (const metric of this.metrics) {
      const value = values[metric];
      this.column(metric).push(typeof value === "number" ? value : null);
    }
  }

  // In steps, since taking one from the front of each column each second would copy them all.
  private trim(from: number): void {
    if (this.t.length < SLACK || (this.t[SLACK - 1] ?? Infinity) >= from) return;
    this.t.splice(0, SLACK);
    for (const column of this.columns.values()) column.splice(0, SLACK);
  }
}

/** The newest values of one number, for a sparkline. */
export class Ring {
  private readonly values: Num[] = [];

  constructor(readonly size: number) {}

  push(value: Num | undefined): void {
    this.values.push(value ?? null);
    if (this.values.length > this.size) this.values.shift();
  }

  /** Put older values before those that are here. */
  prepend(older: readonly Num[]): void {
    const room = this.size - this.values.length;
    if (room > 0) this.values.unshift(...older.slice(-room));
  }

  list(): readonly Num[] {
    return this.values;
  }
}
