// What the dashboard can change: freeze, thaw, limit. Buttons and keys come here alike, and each says what happened.

import { signal } from "@preact/signals";
import { freeze, thaw } from "../api";
import { ownerText } from "../eventtext";
import { containers } from "../store";
import type { Container, Holding } from "../wire";
import { say, sayProblem } from "./notice";

/** The container whose limits are being edited, or null. */
export const limiting = signal<string | null>(null);
const busy = signal<ReadonlySet<string>>(new Set());

export async function toggleFreeze(container: Pick<Container, "name" | "state">): Promise<void> {
  const { name, state } = container;
  if (busy.peek().has(name) || state === "exited" || state === "created") return;
  busy.value = new Set([...busy.peek(), name]);
  try {
    const answer = state === "frozen" ? await thaw(name, false) : await freeze(name);
    show(answer);
    say(outcomeText(answer, state === "frozen"));
  } catch (error) {
    sayProblem(error);
  } finally {
    busy.value = new Set([...busy.peek()].filter((one) => one !== name));
  }
}

/** The answer is newer than the next frame of the stream: show it at once. */
function show(answer: Holding): void {
  const known = containers.peek().get(answer.name);
  if (known)
    containers.value = new Map(containers.peek()).set(answer.name, { ...known, state: answer.state });
}

function outcomeText(answer: Holding, wasThaw: boolean): string {
  if (wasThaw && answer.state === "frozen")
    return `${answer.name} is still frozen, held by ${answer.holders.map(ownerText).join(", ")}`;
  if (!answer.changed) return `${answer.name} was ${answer.state} already`;
  return `${answer.name} is ${wasThaw ? "running again" : "frozen"}`;
}

export function Actions({ container }: { container: Pick<Container, "name" | "state"> }) {
  const waiting = busy.value.has(container.name);
  const frozen = container.state === "frozen";
  const ended = container.state === "exited";
  return (
    <div class="actions">
      <button
        type="button"
        disabled={waiting || ended}
        aria-keyshortcuts="f"
        onClick={() => void toggleFreeze(container)}
        data-action={frozen ? "thaw" : "freeze"}
      >
        {frozen ? "Thaw" : "Freeze"}
      </button>
      <button
        type="button"
        disabled={ended}
        aria-keyshortcuts="l"
        onClick={() => (limiting.value = container.name)}
        data-action="limit"
      >
        Limits…
      </button>
    </div>
  );
}
