// One container: what it uses over time under its limits, what was done to it and why, what it says, what it is.

import { useComputed, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Problem, readContainer, readDecisions } from "../api";
import { rangeSec, type View } from "../charts/view";
import { Stack, useView } from "../charts/stack";
import { runsOf } from "../decisiontext";
import { ago, duration, unix } from "../format";
import { ownerText } from "../eventtext";
import { useKeys } from "../keys";
import { Actions, limiting, toggleFreeze } from "../parts/actions";
import { DecisionView } from "../parts/decision";
import { EventList } from "../parts/events";
import { Facts } from "../parts/facts";
import { LogTail } from "../parts/logtail";
import { StateBadge } from "../parts/state";
import { containers, gapEpoch, now, paused } from "../store";
import type { Container, Decision, Inspected, Num } from "../wire";
import { newestFirst } from "./decisions";

const RECENT = 8;

export function ContainerPage({ name }: { name: string }) {
  const view = useView(name);
  const live = useComputed(() => containers.value.get(name)).value;
  const { inspected, missing } = useInspected(name, view, live);
  const shown = live ?? inspected;
  const ended = shown?.state === "exited" ? unix(shown.finished_at) : null;
  useEffect(() => void (view.endedAt.value = ended), [view, ended]);
  useKeys([
    { keys: "f", does: "freeze or thaw", run: () => shown && void toggleFreeze(shown) },
    {
      keys: "l",
      does: "change limits",
      run: () => shown && shown.state !== "exited" && (limiting.value = name),
    },
  ]);
  if (missing && !live) return <Missing name={name} text={missing} />;
  if (!shown) return <p class="muted page-note">Reading…</p>;
  return (
    <article class="container-page" aria-label={`Container ${name}`}>
      <Head container={{ ...inspected, ...shown } as Container} holders={inspected?.holders ?? []} />
      <Ranges view={view} />
      <div class="columns">
        <div class="main-column">
          <Charts view={view} network={inspected?.network ?? shown.network} ended={ended !== null} />
          <Story name={name} view={view} />
          <LogTail name={name} ended={shown.state === "exited"} />
        </div>
        <aside>
          {inspected && <Facts container={{ ...inspected, ...live, limits: inspected.limits }} />}
        </aside>
      </div>
    </article>
  );
}

/** One that ended within the second between two measurements has nothing to draw. */
function Charts({ view, network, ended }: { view: View; network: string; ended: boolean }) {
  view.version.value;
  if (ended && view.filled.value && view.series.t.length === 0)
    return <p class="muted unmeasured">It ended before it was measured: no charts.</p>;
  return <Stack view={view} network={network} key={`${view.name} ${network}`} />;
}

/** The facts that no stream carries, read again whenever an event says that they changed. */
function useInspected(
  name: string,
  view: View,
  live: Container | undefined,
): { inspected: Inspected | null; missing: string } {
  const inspected = useSignal<Inspected | null>(null);
  const missing = useSignal("");
  const newest = view.own.value[0]?.id ?? 0;
  useEffect(() => {
    readContainer(name).then(
      (one) => {
        inspected.value = one;
        missing.value = "";
      },
      (error: unknown) => {
        if (error instanceof Problem) missing.value = error.message;
      },
    );
  }, [name, newest, live?.state, gapEpoch.value]);
  return { inspected: inspected.value?.name === name ? inspected.value : null, missing: missing.value };
}

function Head({ container, holders }: { container: Container; holders: readonly string[] }) {
  return (
    <header class="container-head">
      <div class="titles">
        <p class="crumb">
          <a href="#/">Containers</a>
        </p>
        <h1>{container.name}</h1>
        <StateBadge container={container} long />
        <span class="muted">
          {lifeText(container)}
          {container.state === "frozen" && holders.length > 0
            ? ` · held by ${holders.map(ownerText).join(", ")}`
            : ""}
        </span>
      </div>
      <Actions container={container} />
    </header>
  );
}

function lifeText(container: Container): string {
  const started = unix(container.started_at);
  const finished = unix(container.finished_at);
  if (container.state === "exited") return endedText(started, finished);
  return started === null ? "" : `up ${duration(now.value - started)}`;
}

function endedText(started: Num, finished: Num): string {
  if (finished === null) return "";
  const when = `ended ${ago(finished, now.value)}`;
  return started === null ? when : `${when}, after ${duration(Math.max(1, finished - started))}`;
}

function Ranges({ view }: { view: View }) {
  const zoomed = view.zoom.value !== null;
  return (
    <div class="ranges">
      <div class="segments" role="group" aria-label="Time range">
        {[1, 5, 15].map((minutes) => (
          <button
            key={minutes}
            type="button"
            aria-pressed={!zoomed && rangeSec.value === minutes * 60}
            onClick={() => ((view.zoom.value = null), (rangeSec.value = minutes * 60))}
          >
            {minutes} min
          </button>
        ))}
      </div>
      {zoomed ? (
        <button type="button" class="link" onClick={() => (view.zoom.value = null)}>
          back from zoom
        </button>
      ) : (
        <span class="muted hint">
          {paused.value ? "standing still: space goes on" : "drag to zoom, space to stand still"}
        </span>
      )}
    </div>
  );
}

function Story({ name, view }: { name: string; view: View }) {
  const decisions = useSignal<Decision[]>([]);
  const newest = view.own.value[0]?.id ?? 0;
  useEffect(() => {
    readDecisions({ container: name, limit: 100 }).then(
      (list) => (decisions.value = newestFirst(list)),
      (error: unknown) => {
        if (!(error instanceof Problem)) throw error;
      },
    );
  }, [name, newest, gapEpoch.value]);
  const own = view.own.value;
  return (
    <div class="story">
      <section aria-labelledby="why">
        <h2 id="why">Why</h2>
        {decisions.value.length === 0 ? (
          <p class="muted">No policy and no person has changed anything here.</p>
        ) : (
          runsOf(decisions.value)
            .slice(0, RECENT)
            .map((run) => <DecisionView key={run.at(-1)?.id} run={run} withName={false} />)
        )}
      </section>
      <section aria-labelledby="what">
        <h2 id="what">Events</h2>
        {own.length === 0 ? <p class="muted">Nothing yet.</p> : <EventList events={own.slice(0, RECENT)} />}
      </section>
    </div>
  );
}

function Missing({ name, text }: { name: string; text: string }) {
  return (
    <div class="empty">
      <h1>No container “{name}”</h1>
      <p>{text}</p>
      <p>
        <a href="#/">See those that there are</a>
      </p>
    </div>
  );
}
