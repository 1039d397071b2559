// A container's state as a dot and a word; the word alone carries the meaning.

import { failed, shortEnding } from "../ending";
import type { Container } from "../wire";

export function stateText(container: Pick<Container, "state" | "exit_code" | "oom_killed">): string {
  return container.state === "exited" ? shortEnding(container) : container.state;
}

export function StateBadge({
  container,
}: {
  container: Pick<Container, "state" | "exit_code" | "oom_killed" | "supervised">;
}) {
  const bad = container.state === "exited" && failed(container);
  const lost = container.state !== "exited" && !container.supervised;
  return (
    <span class={`state state-${container.state}${bad ? " failed" : ""}`}>
      <i aria-hidden="true" />
      {stateText(container)}
      {lost && (
        <abbr title="Its supervisor was lost: no log, and its exit code will not be known">
          {" "}
          unsupervised
        </abbr>
      )}
    </span>
  );
}
