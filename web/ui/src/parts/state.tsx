// A container's state as a dot and a word; the word alone carries the meaning.

import { endingText, failed, shortEnding } from "../ending";
import type { Container } from "../wire";

export function stateText(container: Pick<Container, "state" | "exit_code" | "oom_killed">): string {
  return container.state === "exited" ? shortEnding(container) : container.state;
}

/** `long` where there is room to say how it ended. */
export function StateBadge({
  container,
  long = false,
}: {
  long?: boolean;
  container: Pick<Container, "state" | "exit_code" | "oom_killed" | "supervised">;
}) {
  const bad = container.state === "exited" && failed(container);
  const lost = container.state !== "exited" && !container.supervised;
  return (
    <span class={`state state-${container.state}${bad ? " failed" : ""}`}>
      <i aria-hidden="true" />
      {long && container.state === "exited" ? endingText(container) : stateText(container)}
      {lost && (
        <abbr title="Its supervisor was lost: no log, and its exit code will not be known">
          {" "}
          unsupervised
        </abbr>
      )}
    </span>
  );
}
