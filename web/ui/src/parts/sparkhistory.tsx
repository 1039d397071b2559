// Sparklines start with the last minute rather than empty: the first containers of the list fetch it, few at a time.

import { useEffect } from "preact/hooks";
import { readHistory, readHostHistory, Problem } from "../api";
import { containers, gapEpoch, HOST, host, loaded, spark } from "../store";
import type { Num } from "../wire";

const FIRST = 60;
const AT_ONCE = 3;
const SECONDS = 60;
// More than there are samples in that time: else the server would halve the resolution.
const POINTS = SECONDS + 10;
const filled = new Set<string>();

export function useSparkHistory(): void {
  const ready = loaded.value;
  const epoch = gapEpoch.value;
  useEffect(() => {
    if (!ready) return;
    const waiting = [...containers.peek().values()]
      .filter((one) => one.state !== "exited" && !filled.has(one.name))
      .slice(0, FIRST);
    for (let i = 0; i < AT_ONCE; i += 1)
      void work(
        waiting.map((one) => one.name),
        i,
      );
    void fillHost();
  }, [ready, epoch]);
}

async function work(names: string[], from: number): Promise<void> {
  for (let i = from; i < names.length; i += AT_ONCE) {
    const name = names[i] ?? "";
    filled.add(name);
    const page = await readHistory(name, ["cpu_cores"], SECONDS, POINTS).catch(ignoreProblem);
    spark(name, "cpu_cores").prepend(page?.metrics["cpu_cores"]?.avg ?? []);
  }
}

async function fillHost(): Promise<void> {
  if (filled.has(HOST)) return;
  filled.add(HOST);
  const page = await readHostHistory(SECONDS, POINTS).catch(ignoreProblem);
  if (!page) return;
  const column = (name: string): Num[] => page.metrics[name]?.avg ?? [];
  const total = host.peek()?.memory_total_bytes ?? null;
  spark(HOST, "cpu").prepend(column("cpu_used_cores"));
  spark(HOST, "memory").prepend(
    column("memory_available_bytes").map((free) => (free === null || total === null ? null : total - free)),
  );
  for (const kind of ["cpu", "memory", "io"])
    spark(HOST, `pressure ${kind}`).prepend(column(`${kind}_pressure_fraction`));
}

/** Without history a sparkline fills from the stream. */
function ignoreProblem(error: unknown): null {
  if (error instanceof Problem) return null;
  throw error;
}
