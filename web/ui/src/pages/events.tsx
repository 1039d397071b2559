// All events of the host: a log that can be filtered, newest first, day by day.

import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { actorText, eventLine, eventTitle } from "../eventtext";
import { day, unix } from "../format";
import { reasonText } from "../reason";
import { useKeys } from "../keys";
import { EventList } from "../parts/events";
import { events, loaded, paused } from "../store";
import type { EventRecord } from "../wire";

export function EventsPage() {
  const filter = useSignal("");
  const input = useRef<HTMLInputElement>(null);
  const kept = useRef(events.value);
  if (!paused.value) kept.current = events.value;
  useKeys([{ keys: "/", does: "filter the list", run: () => input.current?.focus() }]);
  const shown = kept.current.filter((event) => eventMatches(event, filter.value));
  return (
    <section class="page-events" aria-label="Events">
      <div class="list-head">
        <h1>Events</h1>
        <span class="muted">
          {shown.length === kept.current.length
            ? `the last ${shown.length}`
            : `${shown.length} of ${kept.current.length}`}
        </span>
        <span class="spacer" />
        <label class="filter">
          <span class="sr-only">Filter events</span>
          <input
            ref={input}
            type="search"
            placeholder="Filter"
            autocomplete="off"
            value={filter.value}
            onInput={(e) => (filter.value = e.currentTarget.value)}
          />
          <kbd aria-hidden="true">/</kbd>
        </label>
      </div>
      {loaded.value && kept.current.length === 0 && (
        <div class="empty">
          <h2>Nothing has happened yet</h2>
          <p>Starts, exits, limit changes, freezes and what policies do will stand here.</p>
        </div>
      )}
      {kept.current.length > 0 && shown.length === 0 && (
        <p class="no-hit">
          Nothing matches “{filter.value}”.{" "}
          <button type="button" class="link" onClick={() => (filter.value = "")}>
            Show all
          </button>
        </p>
      )}
      {byDay(shown).map(([title, list]) => (
        <section key={title}>
          <h2 class="day">{title}</h2>
          <EventList events={list} withName />
        </section>
      ))}
    </section>
  );
}

function eventMatches(event: EventRecord, filter: string): boolean {
  const text = [
    event.type,
    eventTitle(event),
    eventLine(event),
    event.container?.name ?? "host",
    actorText(event.actor),
    event.reason,
    reasonText(event.reason),
  ]
    .join(" ")
    .toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

function byDay(list: readonly EventRecord[]): [string, EventRecord[]][] {
  const days = new Map<string, EventRecord[]>();
  for (const event of list) {
    const title = day(unix(event.time) ?? 0);
    days.set(title, [...(days.get(title) ?? []), event]);
  }
  return [...days];
}
