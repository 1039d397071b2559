// The host in one band: what is left for containers, and whether tasks wait. Quiet numbers, each with its last minute.

import { bytes, cores, NONE, percent } from "../format";
import { HOST, host, hostPressure, spark, usedMemory } from "../store";
import type { Host, Num } from "../wire";
import { Spark } from "./spark";

export function HostBand() {
  const seen = host.value;
  if (!seen) return <div class="band" aria-busy="true" />;
  return (
    <section class="band" aria-label="Host">
      <Figure
        title="CPU"
        value={cores(seen.cpu_used_cores)}
        of={seen.cpu_cores_total == null ? "" : `of ${seen.cpu_cores_total} cores`}
        metric="cpu"
        full={seen.cpu_cores_total}
        colour="var(--c-blue)"
      />
      <Figure
        title="Memory"
        {...memory(seen)}
        metric="memory"
        full={seen.memory_total_bytes}
        colour="var(--c-green)"
      />
      {(["cpu", "memory", "io"] as const).map((kind) => (
        <Pressure key={kind} kind={kind} value={hostPressure(seen, kind)} />
      ))}
    </section>
  );
}

function memory(seen: Host): { value: string; of: string } {
  const used = usedMemory(seen);
  return {
    value: bytes(used),
    of: seen.memory_total_bytes == null ? "" : `of ${bytes(seen.memory_total_bytes)}`,
  };
}

interface FigureProps {
  title: string;
  value: string;
  of: string;
  metric: string;
  full: Num;
  colour: string;
}

function Figure({ title, value, of, metric, full, colour }: FigureProps) {
  return (
    <div class="figure">
      <h2>{title}</h2>
      <p>
        <strong>{value}</strong> <span class="muted">{of}</span>
      </p>
      <Spark
        values={spark(HOST, metric).list()}
        floor={full ?? 0.01}
        width={180}
        height={30}
        colour={colour}
      />
    </div>
  );
}

const TITLES = { cpu: "CPU", memory: "Memory", io: "I/O" };
const COLOURS = { cpu: "var(--c-orange)", memory: "var(--c-purple)", io: "var(--c-blue)" };

function Pressure({ kind, value }: { kind: "cpu" | "memory" | "io"; value: Num }) {
  return (
    <div class="figure small" title="Share of the last second in which some task waited">
      <h2>{TITLES[kind]} pressure</h2>
      <p>
        <strong>{value === null ? NONE : percent(value)}</strong>
      </p>
      <Spark
        values={spark(HOST, `pressure ${kind}`).list()}
        floor={0.2}
        width={120}
        height={30}
        colour={COLOURS[kind]}
      />
    </div>
  );
}
