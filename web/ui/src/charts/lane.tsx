// The lane above the charts with one dot per event, on the same time axis. A dot is a button, so that the keyboard
// reaches what the mouse does: what changed, by which rule, from what to what.

import { useSignal } from "@preact/signals";
import { actorText, changes, changeText, eventTitle, eventTone } from "../eventtext";
import { clock } from "../format";
import { AXIS_WIDTH, RIGHT_PAD } from "./chart";
import { decisionLink, go } from "../route";
import type { Mark, View } from "./view";

const NEAR_PX = 7;

export function Lane({ view, width }: { view: View; width: number }) {
  const open = useSignal<number | null>(null);
  const [from, to] = view.window.value;
  const span = Math.max(1, width - AXIS_WIDTH - RIGHT_PAD);
  const place = (time: number): number => AXIS_WIDTH + ((time - from) / (to - from)) * span;
  const marks = view.marks.value.filter((mark) => mark.time >= from && mark.time <= to);
  const pointed = pointedMarks(view, marks, place);
  const shown = open.value === null ? pointed : marks.filter((mark) => mark.event.id === open.value);
  return (
    <div class="lane" role="group" aria-label="Events in this time">
      <span class="lane-title">{marks.length === 0 ? "no events in this time" : "events"}</span>
      {marks.map((mark) => (
        <button
          key={mark.event.id}
          type="button"
          class={`mark tone-${eventTone(mark.event)}`}
          style={{ left: `${place(mark.time)}px` }}
          aria-label={`${clock(mark.time)} ${eventTitle(mark.event)}`}
          onMouseEnter={() => (open.value = mark.event.id)}
          onMouseLeave={() => (open.value = null)}
          onFocus={() => (open.value = mark.event.id)}
          onBlur={() => (open.value = null)}
          onClick={() => mark.event.decision && go(decisionLink(mark.event.decision))}
        />
      ))}
      {shown[0] && <Tip marks={shown} left={place(shown[0].time)} width={width} />}
    </div>
  );
}

/** The marks that the cursor of the charts stands on. */
function pointedMarks(view: View, marks: Mark[], place: (time: number) => number): Mark[] {
  const at = view.cursor.value;
  const time = at === null ? undefined : view.series.t[at];
  if (time === undefined) return [];
  return marks.filter((mark) => Math.abs(place(mark.time) - place(time)) <= NEAR_PX).slice(0, 4);
}

function Tip({ marks, left, width }: { marks: Mark[]; left: number; width: number }) {
  const onRight = left > width / 2;
  const position = onRight ? { right: `${width - left + 8}px` } : { left: `${left + 8}px` };
  return (
    <div class="tip" role="status" style={position}>
      {marks.map(({ event, time }) => (
        <div key={event.id} class={`tip-event tone-${eventTone(event)}`}>
          <strong>{eventTitle(event)}</strong> <time>{clock(time)}</time>
          {changes(event)
            .slice(0, 4)
            .map((change) => (
              <div key={change.field} class="change">
                {changeText(change)}
              </div>
            ))}
          {event.reason && <div>{event.reason}</div>}
          <div class="muted">by {actorText(event.actor)}</div>
        </div>
      ))}
    </div>
  );
}
