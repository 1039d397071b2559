// What is painted on the canvas beside the lines: spans in which the container was frozen, and a vertical line for
// each event. Behind and in front of the data respectively.

import type uPlot from "uplot";
import type { Ink } from "../colour";
import { resolve } from "../colour";
import { eventTone, type Tone } from "../eventtext";
import type { Mark, View } from "./view";

const DENSE_PX = 14;

export const TONE_COLOUR: Record<Tone, string> = {
  quiet: "--muted",
  policy: "--c-orange",
  operator: "--c-blue",
  cold: "--c-sky",
  bad: "--limit",
};

export function paintFrozen(plot: uPlot, view: View, inks: Ink): void {
  const { ctx, bbox } = plot;
  const [from, to] = view.window.peek();
  ctx.save();
  ctx.fillStyle = inks.frozen;
  for (const [since, until] of view.frozen.peek()) {
    const left = plot.valToPos(Math.max(since, from), "x", true);
    const right = plot.valToPos(Math.min(until ?? to, to), "x", true);
    if (right > left) ctx.fillRect(left, bbox.top, right - left, bbox.height);
  }
  ctx.restore();
}

export function paintMarks(plot: uPlot, view: View): void {
  const { ctx, bbox } = plot;
  const [from, to] = view.window.peek();
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([]);
  let before = -Infinity;
  for (const mark of [...view.marks.peek()].sort((a, b) => a.time - b.time)) {
    if (mark.time < from || mark.time > to) continue;
    const x = Math.round(plot.valToPos(mark.time, "x", true)) + 0.5;
    ctx.globalAlpha = alphaOf(mark, x - before < DENSE_PX * devicePixelRatio);
    before = x;
    ctx.strokeStyle = resolve(TONE_COLOUR[eventTone(mark.event)]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

// A limit change is a step of the limit's own line as well, and many of them would hide the data.
function alphaOf(mark: Mark, dense: boolean): number {
  if (mark.event.type !== "limit.change") return 0.7;
  return dense ? 0.1 : 0.4;
}
