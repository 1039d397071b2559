// A list of events, newest first, under a heading per day where it spans days.

import { actorText, eventLine, eventTone } from "../eventtext";
import { reasonText } from "../reason";
import { clock, duration, unix } from "../format";
import { containerLink, decisionLink } from "../route";
import type { EventRecord } from "../wire";

export function EventList({
  events,
  withName = false,
}: {
  events: readonly EventRecord[];
  withName?: boolean;
}) {
  return (
    <ol class={`events${withName ? " with-name" : ""}`}>
      {events.map((event) => (
        <li key={event.id} class={`tone-${eventTone(event)}`}>
          <time dateTime={event.time} title={event.time}>
            {clock(unix(event.time) ?? 0)}
          </time>
          <i class="dot" aria-hidden="true" />
          {withName && (
            <span class="event-name">
              {event.container ? (
                <a href={containerLink(event.container.name)}>{event.container.name}</a>
              ) : (
                <span class="muted">host</span>
              )}
            </span>
          )}
          <div class="event-body">
            <span class="event-title">{eventLine(event)}</span>
            {event.reason && <span class="reason">{reasonText(event.reason)}</span>}
            <span class="muted by">
              {actorText(event.actor)}
              {lease(event)}
              {event.decision && (
                <>
                  {" "}
                  · <a href={decisionLink(event.decision)}>why</a>
                </>
              )}
            </span>
          </div>
        </li>
      ))}
    </ol>
  );
}

function lease(event: EventRecord): string {
  const until = unix(event.until);
  const from = unix(event.time);
  // A freeze says it already.
  return until === null || from === null || event.type === "container.freeze"
    ? ""
    : ` · for ${duration(Math.round(until - from))}`;
}
