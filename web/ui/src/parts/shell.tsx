// The frame around every page: where one is, whether what one sees is current, and the keys that work everywhere.

import type { ComponentChildren } from "preact";
import { useKeys } from "../keys";
import { go, route } from "../route";
import { connection, host, paused, staleSec } from "../store";
import { flip, isDark, schemeEpoch } from "../theme";
import { helping } from "./help";

const PAGES = [
  { page: "containers", title: "Containers", hash: "#/" },
  { page: "events", title: "Events", hash: "#/events" },
  { page: "decisions", title: "Decisions", hash: "#/decisions" },
] as const;

export function Shell({ children }: { children: ComponentChildren }) {
  useKeys([
    { keys: "g c", does: "go to the containers", run: () => go("#/") },
    { keys: "g e", does: "go to the events", run: () => go("#/events") },
    { keys: "g d", does: "go to the decisions", run: () => go("#/decisions") },
    { keys: "space", does: "stand still, or go on", run: () => (paused.value = !paused.value) },
    { keys: "?", does: "show the keys", run: () => (helping.value = true) },
  ]);
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => (event.preventDefault(), document.getElementById("main")?.focus())}
      >
        To the content
      </a>
      <header class="top">
        <a class="brand" href="#/" aria-label="cgwarden, containers">
          <Logo />
          <span>cgwarden</span>
        </a>
        <nav aria-label="Pages">
          {PAGES.map(({ page, title, hash }) => (
            <a key={page} href={hash} aria-current={isHere(page) ? "page" : undefined}>
              {title}
            </a>
          ))}
        </nav>
        <span class="spacer" />
        {host.value?.hostname && <span class="hostname muted">{host.value.hostname}</span>}
        <Pulse />
        <ThemeButton />
        <button
          type="button"
          class="plain"
          aria-label="Keys"
          title="Keys (?)"
          onClick={() => (helping.value = true)}
        >
          ?
        </button>
      </header>
      <Banner />
      <main id="main" tabIndex={-1}>
        {children}
      </main>
    </>
  );
}

function isHere(page: string): boolean {
  return route.value.page === page || (page === "containers" && route.value.page === "container");
}

function Logo() {
  return (
    <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M4 8h24" class="logo-limit" />
      <path d="M4 24l6-5 4 2 6-8 8 4" class="logo-line" />
    </svg>
  );
}

/** A button, since it is also how a pointer says what space says. */
function Pulse() {
  const state = paused.value
    ? "paused"
    : connection.value === "live" && staleSec.value !== null
      ? "stale"
      : connection.value;
  const words = {
    paused: "paused",
    stale: "stale",
    live: "live",
    lost: "disconnected",
    connecting: "connecting",
  }[state];
  return (
    <button
      type="button"
      class={`pulse pulse-${state}`}
      aria-pressed={paused.value}
      title="Stand still, or go on (space)"
      onClick={() => (paused.value = !paused.value)}
    >
      <i aria-hidden="true" />
      {words}
    </button>
  );
}

function ThemeButton() {
  schemeEpoch.value;
  const other = isDark() ? "light" : "dark";
  return (
    <button
      type="button"
      class="plain"
      aria-label={`Use ${other} colours`}
      title={`Use ${other} colours`}
      onClick={flip}
    >
      <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
        <circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" stroke-width="1.6" />
        <path d="M8 1.8a6.2 6.2 0 0 1 0 12.4z" fill="currentColor" />
      </svg>
    </button>
  );
}

function Banner() {
  if (connection.value === "lost") {
    return (
      <div class="banner" role="alert">
        Disconnected: the daemon does not answer. What is shown is old. Trying again…
      </div>
    );
  }
  if (staleSec.value !== null) {
    return (
      <div class="banner" role="alert">
        Stale: no measurement for {staleSec.value} s.
      </div>
    );
  }
  return null;
}
