// What is painted on the canvas beside the lines: spans in which the container was frozen, and a vertical line for
// each event. Behind and in front of the data respectively.

import type uPlot from "uplot";
import type { Ink } from "../colour";
import { resolve } from "../colour";
import { eventTone, type Tone } from "../eventtext";
import type { View } from "./view";

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
  ctx.globalAlpha = 0.6;
  ctx.setLineDash([]);
  for (const mark of view.marks.peek()) {
    if (mark.time < from || mark.time > to) continue;
    const x = Math.round(plot.valToPos(mark.time, "x", true)) + 0.5;
    ctx.strokeStyle = resolve(TONE_COLOUR[eventTone(mark.event)]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}
