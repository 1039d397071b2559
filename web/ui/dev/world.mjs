// A made-up host for developing the dashboard without root: six containers whose numbers move as real ones do, and
// policies that act on them.

import { hostOf, usageOf } from "./readings.mjs";
import { iso, make, MIB, random, SPECS, wobble } from "./specs.mjs";

const KEEP = 960;

export class World {
  constructor(now) {
    this.events = [];
    this.decisions = [];
    this.containers = new Map(SPECS.map((one, i) => [one.name, make(one, now - 1900 + i * 40, i)]));
    this.hostHistory = [];
    this.leaked = 0;
    this.waves = 0;
    this.begin(now);
    for (let t = now - 900; t <= now; t += 1) this.step(t);
  }

  begin(now) {
    for (const one of this.containers.values())
      this.event(now - 1900, "container.start", one.name, "daemon", "cgwarden", "");
    this.freeze(
      "nightly-backup",
      now - 140,
      "policy freeze-before-oom",
      "memory full in 8 s at the present growth",
    );
    const ended = this.containers.get("migrate-0042");
    Object.assign(ended, {
      state: "exited",
      pid: null,
      exit_code: 137,
      oom_killed: true,
      finished_at: iso(now - 420),
    });
    this.event(
      now - 420,
      "container.oom",
      "migrate-0042",
      "kernel",
      "kernel",
      "1 process killed in its cgroup",
    );
    this.event(now - 420, "container.exit", "migrate-0042", "kernel", "kernel", "exit code 137");
  }

  event(t, type, name, kind, actor, reason, before = null, after = null, decision = null, until = null) {
    const record = {
      id: this.events.length + 1,
      time: iso(t),
      monotonic_usec: 0,
      boot_id: "dev",
      type,
      container: name ? { name } : null,
      actor: { kind, name: actor },
      reason,
      before,
      after,
      decision,
      until,
    };
    this.events.push(record);
    this.onEvent?.(record);
    return record;
  }

  step(t) {
    for (const one of this.containers.values()) {
      const usage = one.state === "exited" ? null : usageOf(one, this.demand(one.name, t, one));
      one.usage = usage;
      if (usage) one.history.push([t, usage]);
      if (one.history.length > KEEP) one.history.shift();
    }
    if (this.hostHistory.push([t, hostOf(this.containers.values(), t)]) > KEEP) this.hostHistory.shift();
  }

  demand(name, t, one) {
    const base = {
      cpu: 0.002,
      user: 0.7,
      memory: 12 * MIB,
      read: 0,
      write: 0,
      net: 0,
      pids: 2,
      psiCpu: 0,
      psiMemory: 0,
      psiIo: 0,
    };
    const wave = 0.5 + 0.5 * Math.sin(t / 47);
    if (name === "api")
      return {
        ...base,
        cpu: wobble(0.16 + 0.2 * wave, 0.09),
        memory: wobble(141 + 9 * wave, 3) * MIB,
        net: wobble(60000 + 140000 * wave, 40000),
        write: random() < 0.2 ? wobble(90000, 60000) : 0,
        pids: 9,
        psiCpu: wobble(0.01, 0.02),
      };
    if (name === "cpu-hog")
      return {
        ...base,
        cpu: wobble(one.limits.cpu_max_cores * 0.995, 0.008),
        user: 0.96,
        memory: 1.6 * MIB,
        pids: 1,
        psiCpu: wobble(0.42, 0.08),
        ...this.suppress(one, t),
      };
    if (name === "memory-leaker")
      return {
        ...base,
        cpu: wobble(0.05, 0.02),
        memory: this.leak(one, t),
        pids: 3,
        psiMemory: this.leaked / one.limits.memory_max_bytes > 0.9 ? wobble(0.16, 0.1) : 0,
      };
    if (name === "disk-writer")
      return {
        ...base,
        cpu: wobble(0.21, 0.06),
        user: 0.15,
        memory: wobble(117, 7) * MIB,
        write: t % 60 < 41 ? wobble(47, 18) * MIB : wobble(0.4, 0.3) * MIB,
        read: random() < 0.1 ? 40960 : 0,
        psiIo: t % 60 < 41 ? wobble(0.31, 0.15) : 0.01,
      };
    if (name === "nightly-backup")
      return {
        ...base,
        cpu: wobble(0.55, 0.2),
        memory: (496 + wobble(2, 2)) * MIB,
        read: wobble(12, 8) * MIB,
        net: wobble(3, 2) * MIB,
        pids: 22,
        psiIo: wobble(0.2, 0.1),
      };
    return base;
  }

  /** Best-effort cpu is cut while the host is busy, and given back. */
  suppress(one, t) {
    const busy = Math.floor(t / 120) % 2 === 0;
    const wanted = busy ? 0.25 : 0.6;
    if (one.limits.cpu_max_cores !== wanted) {
      const reason = busy
        ? "node cpu.usedRatio mean 5s 91 % > 85 % for 5 s"
        : "released: node cpu.usedRatio 58 % < 75 %";
      this.change(
        one,
        "cpu_max_cores",
        wanted,
        t,
        "batch-cpu-suppress",
        reason,
        "cpu.cfs_quota_us",
        (cores) => String(cores * 100000),
        {
          signal: "cpu.usedRatio",
          of: "node",
          value: busy ? 0.91 : 0.58,
          unit: "ratio",
          threshold: busy ? 0.85 : 0.75,
          age_ms: 38,
        },
        busy ? 30 : null,
      );
    }
    return {};
  }

  leak(one, t) {
    this.leaked =
      this.leaked > 230 * MIB ? 20 * MIB : Math.max(20 * MIB, this.leaked) + wobble(0.7, 0.5) * MIB;
    if (this.leaked < 60 * MIB && one.limits.memory_max_bytes > 96 * MIB)
      one.limits.memory_max_bytes = 96 * MIB;
    if (this.leaked / one.limits.memory_max_bytes > 0.94 && one.limits.memory_max_bytes < 240 * MIB) {
      const wanted = Math.min(256 * MIB, Math.round((one.limits.memory_max_bytes * 1.25) / MIB) * MIB);
      this.change(
        one,
        "memory_max_bytes",
        wanted,
        t,
        "memory-headroom",
        "memory.usedRatio 94 % > 90 % for 10 s",
        "memory.limit_in_bytes",
        String,
        {
          signal: "memory.usedRatio",
          of: "container",
          value: 0.943,
          unit: "ratio",
          threshold: 0.9,
          age_ms: 41,
        },
        600,
      );
    }
    return Math.min(this.leaked, one.limits.memory_max_bytes);
  }

  change(one, field, wanted, t, policy, reason, file, spelled, input, leaseSec) {
    const before = one.limits[field];
    const id = `d-${String(this.decisions.length + 1).padStart(6, "0")}`;
    one.limits[field] = wanted;
    one.owners[field] = `policy:${policy}`;
    const write = {
      controller: field.split("_")[0],
      file,
      before: spelled(before),
      value: spelled(wanted),
      read_back: spelled(wanted),
      errno: 0,
    };
    const until = leaseSec ? iso(t + leaseSec) : null;
    this.decisions.push({
      id,
      seq: this.decisions.length + 1,
      at: iso(t),
      container: one.name,
      policy: { name: policy, mode: "enforce" },
      field,
      reason,
      before,
      wanted,
      inputs: [input],
      predicate: [{ leaf: `${input.signal} > ${input.threshold}`, true: true, held_s: 10, need_s: 10 }],
      candidates: [{ name: one.name }, { name: "api", rejected: "class guaranteed" }],
      rails: ["step", "age", "ceiling", "blast radius"].map((rail) => ({ rail, result: "pass" })),
      writes: [write],
      outcome: "applied",
      owner: `policy:${policy}`,
      lease_until: until,
      verdict: "pending",
    });
    this.event(
      t,
      "limit.change",
      one.name,
      "policy",
      policy,
      reason,
      { [field]: before },
      { [field]: wanted },
      id,
      until,
    );
  }

  freeze(name, t, actor, reason) {
    const one = this.containers.get(name);
    const changed = one.state !== "frozen";
    one.state = "frozen";
    one.holders = [actor];
    if (changed)
      this.event(t, "container.freeze", name, actor.split(" ")[0], actor.split(" ")[1] ?? actor, reason);
    return { name, changed, state: one.state, holders: one.holders, decision: null };
  }

  thaw(name, t) {
    const one = this.containers.get(name);
    const changed = one.state === "frozen";
    if (changed) one.state = "running";
    one.holders = [];
    if (changed) this.event(t, "container.thaw", name, "operator", "operator", "thawed from the dashboard");
    return { name, changed, state: one.state, holders: [], decision: null };
  }
}
