// A container's state as a dot and a word; the word alone carries the meaning.

import type { Container } from "../wire";

export function stateText(container: Pick<Container, "state" | "exit_code" | "oom_killed">): string {
  if (container.state !== "exited") return container.state;
  if (container.oom_killed) return "out of memory";
  return container.exit_code === null ? "exited" : `exited ${container.exit_code}`;
}

export function StateBadge({
  container,
}: {
  container: Pick<Container, "state" | "exit_code" | "oom_killed" | "supervised">;
}) {
  const failed = container.state === "exited" && (container.oom_killed || (container.exit_code ?? 0) !== 0);
  const lost = container.state !== "exited" && !container.supervised;
  return (
    <span class={`state state-${container.state}${failed ? " failed" : ""}`}>
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
