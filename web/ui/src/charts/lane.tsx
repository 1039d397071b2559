// The lane above the charts with one dot per event, on the same time axis; limit changes that would overlap are one bar.
// Each is a button, so that the keyboard reaches what the mouse does: what changed, by which rule, from what to what.

import { useSignal } from "@preact/signals";
import { actorText, eventLine, eventTone } from "../eventtext";
import { reasonText } from "../reason";
import { clock } from "../format";
import { AXIS_WIDTH, RIGHT_PAD } from "./chart";
import { decisionLink, go } from "../route";
import type { Mark, View } from "./view";

const NEAR_PX = 7;
const DOT_PX = 11;
const TOLD = 4;

export function Lane({ view, width }: { view: View; width: number }) {
  const open = useSignal<number | null>(null);
  const [from, to] = view.window.value;
  const span = Math.max(1, width - AXIS_WIDTH - RIGHT_PAD);
  const place = (time: number): number => AXIS_WIDTH + ((time - from) / (to - from)) * span;
  const marks = view.marks.value.filter((mark) => mark.time >= from && mark.time <= to);
  const pointed = pointedMarks(view, marks, place);
  const groups = grouped(marks, place);
  const shown =
    open.value === null ? pointed : (groups.find((group) => group[0]?.event.id === open.value) ?? []);
  return (
    <div class="lane" role="group" aria-label="Events in this time">
      <span class="lane-title">{marks.length === 0 ? "no events in this time" : "events"}</span>
      {groups.map((group) => (
        <Dot key={group[0]?.event.id} group={group} place={place} open={open} />
      ))}
      {shown[0] && <Tip marks={shown} left={place(shown[0].time)} width={width} />}
    </div>
  );
}

/** In the order of time, those that stand on each other together. */
export function grouped(marks: readonly Mark[], place: (time: number) => number): Mark[][] {
  const groups: Mark[][] = [];
  for (const mark of [...marks].sort((a, b) => a.time - b.time)) {
    const last = groups.at(-1)?.at(-1);
    const joins =
      last?.event.type === "limit.change" &&
      mark.event.type === last.event.type &&
      eventTone(mark.event) === eventTone(last.event) &&
      place(mark.time) - place(last.time) < DOT_PX;
    if (joins) groups.at(-1)?.push(mark);
    else groups.push([mark]);
  }
  return groups;
}

interface DotProps {
  group: readonly Mark[];
  place: (time: number) => number;
  open: { value: number | null };
}

function Dot({ group, place, open }: DotProps) {
  const [first, last] = [group[0], group.at(-1)];
  if (!first || !last) return null;
  const what = group.length > 1 ? `${group.length} limit changes until ${clock(last.time)}` : "";
  const show = (): void => void (open.value = first.event.id);
  const hide = (): void => void (open.value = null);
  const decision = last.event.decision;
  return (
    <button
      type="button"
      class={`mark tone-${eventTone(first.event)}`}
      style={{ left: `${place(first.time)}px`, width: `${DOT_PX + place(last.time) - place(first.time)}px` }}
      aria-label={`${clock(first.time)} ${what || eventLine(first.event)}`}
      onMouseEnter={show}
      onMouseLeave={hide}
      onFocus={show}
      onBlur={hide}
      onClick={() => decision && go(decisionLink(decision))}
    />
  );
}

/** The marks that the cursor of the charts stands on. */
function pointedMarks(view: View, marks: Mark[], place: (time: number) => number): Mark[] {
  const at = view.cursor.value;
  const time = at === null ? undefined : view.series.t[at];
  if (time === undefined) return [];
  return marks.filter((mark) => Math.abs(place(mark.time) - place(time)) <= NEAR_PX);
}

function Tip({ marks, left, width }: { marks: Mark[]; left: number; width: number }) {
  const onRight = left > width / 2;
  const position = onRight ? { right: `${width - left + 8}px` } : { left: `${left + 8}px` };
  return (
    <div class="tip" role="status" style={position}>
      {marks.slice(-TOLD).map(({ event, time }) => (
        <div key={event.id} class={`tip-event tone-${eventTone(event)}`}>
          <strong>{eventLine(event)}</strong> <time>{clock(time)}</time>
          {event.reason && <div>{reasonText(event.reason)}</div>}
          <div class="muted">{actorText(event.actor)}</div>
        </div>
      ))}
      {marks.length > TOLD && <div class="muted">and {marks.length - TOLD} before</div>}
    </div>
  );
}
