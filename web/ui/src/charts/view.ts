// What the charts of one page share: the series, the time window, the cursor and the marks. All charts of a page read
// the same view, so they move, zoom and point together.

import { computed, signal } from "@preact/signals";
import { frozenSpans } from "../eventtext";
import { unix } from "../format";
import { events, measuredAt, paused } from "../store";
import { windowStart } from "../scale";
import { Series } from "../series";
import type { EventRecord } from "../wire";
import { CHART_METRICS } from "./panels";

export const KEEP_SEC = 900;

export interface Mark {
  time: number;
  event: EventRecord;
}

/** The range that people chose last, for the next container that they look at. */
export const rangeSec = signal(300);

export class View {
  readonly series = new Series(CHART_METRICS, KEEP_SEC + 60);
  /** Counts up with each change of the series. */
  readonly version = signal(0);
  /** Whether the history has been read. */
  readonly filled = signal(false);
  readonly cursor = signal<number | null>(null);
  /** When the container ended, so that the window stays on its last minutes. */
  readonly endedAt = signal<number | null>(null);
  readonly zoom = signal<[number, number] | null>(null);
  readonly history = signal<readonly EventRecord[]>([]);
  private standingAt = 0;

  constructor(readonly name: string) {}

  /** The time window in unix seconds: zoomed, standing still, or sliding with the clock of the server. */
  readonly window = computed<[number, number]>(() => {
    if (this.zoom.value) return this.zoom.value;
    const ended = this.endedAt.value;
    if (ended !== null) return this.upTo(ended + 2);
    if (!paused.value || this.standingAt === 0)
      this.standingAt = Math.max(measuredAt.value, this.series.t.at(-1) ?? 0);
    return this.upTo(this.standingAt);
  });

  /** The range that ends there, shorter while the container is younger than that. */
  private upTo(end: number): [number, number] {
    this.version.value;
    return [windowStart(end, rangeSec.value, this.series.t[0]), end];
  }

  readonly own = computed<EventRecord[]>(() => {
    const live = events.value.filter((event) => event.container?.name === this.name);
    const byId = new Map([...this.history.value, ...live].map((event) => [event.id, event]));
    return [...byId.values()].sort((a, b) => b.id - a.id);
  });

  readonly marks = computed<Mark[]>(() =>
    this.own.value.flatMap((event) => {
      const time = unix(event.time);
      return time === null ? [] : [{ time, event }];
    }),
  );

  readonly frozen = computed(() => frozenSpans(this.own.value, (event) => unix(event.time)));
}
