// Bars: how much of a limit is used, and how much of the time tasks stood still. Colour says when to look; the number
// beside each bar says the same without colour.

import { percent } from "../format";
import type { Num } from "../wire";

export function level(fraction: number): "calm" | "high" | "full" {
  if (fraction >= 0.95) return "full";
  return fraction >= 0.8 ? "high" : "calm";
}

export function Meter({ fraction, label }: { fraction: number; label: string }) {
  const shown = Math.min(1, Math.max(0, fraction));
  return (
    <span class="meter" role="img" aria-label={`${label} ${percent(fraction)}`}>
      <span class={`meter-fill ${level(fraction)}`} style={{ width: `${(shown * 100).toFixed(1)}%` }} />
    </span>
  );
}

const KINDS = [
  ["cpu", "var(--c-orange)"],
  ["memory", "var(--c-purple)"],
  ["io", "var(--c-blue)"],
] as const;

/** Three small columns: the share of the last second in which some task waited for cpu, memory, io. */
export function Stalls({
  cpu,
  memory,
  io,
}: {
  cpu: Num | undefined;
  memory: Num | undefined;
  io: Num | undefined;
}) {
  const values = { cpu, memory, io };
  const known = KINDS.filter(([kind]) => values[kind] != null);
  if (known.length === 0) return <span class="muted">–</span>;
  const [worst] = [...known].sort((a, b) => (values[b[0]] ?? 0) - (values[a[0]] ?? 0))[0] ?? ["cpu"];
  const text = KINDS.map(([kind]) => `${kind} ${percent(values[kind])}`).join(", ");
  const calm = (values[worst] ?? 0) < 0.005;
  return (
    <span class="stalls" title={`Pressure: ${text}`}>
      <svg
        class="stall-bars"
        viewBox="0 0 20 24"
        width="20"
        height="24"
        role="img"
        aria-label={`Pressure: ${text}`}
      >
        {KINDS.map(([kind, colour], i) => {
          const height = Math.min(1, values[kind] ?? 0) * 24;
          return (
            <g key={kind}>
              <rect class="stall-ground" x={i * 7} y="0" width="5" height="24" rx="1.5" />
              <rect x={i * 7} y={24 - height} width="5" height={height} rx="1.5" fill={colour} />
            </g>
          );
        })}
      </svg>
      <span class="stack-2">
        <span>{calm ? "calm" : percent(values[worst])}</span>
        <small>{calm ? "" : worst}</small>
      </span>
    </span>
  );
}
