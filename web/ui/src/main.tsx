// Starts the dashboard: a log-in code is taken from the address first, then the page and the stream begin.

import { render } from "preact";
import { login, Problem, signedOut } from "./api";
import { ContainerPage } from "./pages/container";
import { ContainersPage } from "./pages/containers";
import { DecisionsPage } from "./pages/decisions";
import { EventsPage } from "./pages/events";
import { LoginPage } from "./pages/login";
import { Help } from "./parts/help";
import { LimitDialog } from "./parts/limitform";
import { NoticeBar } from "./parts/notice";
import { Shell } from "./parts/shell";
import { route, startRouting, takeLoginCode } from "./route";
import { startClock } from "./store";
import { startKeys } from "./keys";
import { startStream } from "./stream";
import { startTheme } from "./theme";

function Page() {
  const here = route.value;
  document.title = here.page === "container" ? `${here.name} · cgwarden` : "cgwarden";
  switch (here.page) {
    case "containers":
      return <ContainersPage />;
    case "container":
      return <ContainerPage key={here.name} name={here.name} />;
    case "events":
      return <EventsPage />;
    case "decisions":
      return <DecisionsPage id={here.id} />;
  }
}

function App({ loginFailed }: { loginFailed: string }) {
  if (signedOut.value) return <LoginPage failed={loginFailed} />;
  return (
    <>
      <Shell>
        <Page />
      </Shell>
      <LimitDialog />
      <Help />
      <NoticeBar />
    </>
  );
}

async function begin(): Promise<void> {
  startTheme();
  startRouting();
  const failed = await enter(takeLoginCode());
  const root = document.getElementById("app");
  if (root) render(<App loginFailed={failed} />, root);
  startClock();
  startKeys();
  startStream();
}

/** Trade the code for a cookie; the reason where that failed. An earlier cookie may be good all the same. */
async function enter(code: string | null): Promise<string> {
  if (code === null) return "";
  try {
    await login(code);
    return "";
  } catch (error) {
    if (error instanceof Problem) return error.message;
    throw error;
  }
}

void begin();
