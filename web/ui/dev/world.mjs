// A made-up host for developing the dashboard without root: six containers whose numbers move as real ones do.
// The same seed gives the same picture, so that two screenshots can be compared.

const MIB = 1 << 20;
const KEEP = 960;

let seed = 7;
const random = () => ((seed = (seed * 1103515245 + 12345) % 2147483648), seed / 2147483648);
const wobble = (middle, spread) => Math.max(0, middle + (random() + random() - 1) * spread);

const spec = (name, command, klass, limits, network = "host") => ({ name, command, class: klass, limits, network });
const SPECS = [
  spec("api", ["python3", "-m", "http.server", "8080"], "guaranteed", { memory_max_bytes: 256 * MIB, cpu_max_cores: 1, pids_max: 64 }),
  spec("cpu-hog", ["sh", "-c", "while :; do :; done"], "besteffort", { memory_max_bytes: 64 * MIB, cpu_max_cores: 0.6, pids_max: 16 }, "none"),
  spec("memory-leaker", ["python3", "leak.py", "--rate", "2M"], "burstable", { memory_max_bytes: 96 * MIB, cpu_max_cores: 0.5, pids_max: 32 }, "none"),
  spec("disk-writer", ["dd", "if=/dev/zero", "of=/tmp/out", "bs=1M"], "burstable", { memory_max_bytes: 128 * MIB, cpu_max_cores: null, pids_max: 32 }, "none"),
  spec("nightly-backup", ["restic", "backup", "/srv"], "besteffort", { memory_max_bytes: 512 * MIB, cpu_max_cores: 2, pids_max: 128 }),
  spec("migrate-0042", ["./migrate", "--to", "0042"], "burstable", { memory_max_bytes: 64 * MIB, cpu_max_cores: 1, pids_max: 32 }, "none"),
];

const iso = (t) => new Date(t * 1000).toISOString();

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
    for (const one of this.containers.values()) this.event(now - 1900, "container.start", one.name, "daemon", "cgwarden", "");
    this.freeze("nightly-backup", now - 140, "policy freeze-before-oom", "memory full in 8 s at the present growth");
    const ended = this.containers.get("migrate-0042");
    Object.assign(ended, { state: "exited", pid: null, exit_code: 137, oom_killed: true, finished_at: iso(now - 420) });
    this.event(now - 420, "container.oom", "migrate-0042", "kernel", "kernel", "1 process killed in its cgroup");
    this.event(now - 420, "container.exit", "migrate-0042", "kernel", "kernel", "exit code 137");
  }

  event(t, type, name, kind, actor, reason, before = null, after = null, decision = null, until = null) {
    const record = { id: this.events.length + 1, time: iso(t), monotonic_usec: 0, boot_id: "dev", type, container: name ? { name } : null, actor: { kind, name: actor }, reason, before, after, decision, until };
    this.events.push(record);
    this.onEvent?.(record);
    return record;
  }

  step(t) {
    for (const one of this.containers.values()) {
      const usage = one.state === "exited" ? null : this.usage(one, t);
      one.usage = usage;
      if (usage) one.history.push([t, usage]);
      if (one.history.length > KEEP) one.history.shift();
    }
    if (this.hostHistory.push([t, this.host(t)]) > KEEP) this.hostHistory.shift();
  }

  usage(one, t) {
    const u = this.demand(one.name, t, one);
    if (one.state === "frozen") Object.assign(u, { cpu: 0, user: 0, read: 0, write: 0, net: 0, psiCpu: 0, psiMemory: 0, psiIo: 0 });
    const { memory_max_bytes: memoryMax, cpu_max_cores: cpuMax, pids_max: pidsMax } = one.limits;
    const net = one.network === "none" ? null : u.net;
    return {
      cpu_cores: u.cpu, cpu_user_cores: u.cpu * u.user, cpu_system_cores: u.cpu * (1 - u.user), cpu_limit_fraction: cpuMax ? u.cpu / cpuMax : null, cpu_throttled_fraction: cpuMax && u.cpu / cpuMax > 0.95 ? wobble(0.6, 0.2) : 0,
      memory_usage_bytes: Math.round(u.memory), memory_working_set_bytes: Math.round(u.memory * 0.86), memory_anon_bytes: Math.round(u.memory * 0.7), memory_file_bytes: Math.round(u.memory * 0.3), memory_limit_fraction: u.memory / memoryMax,
      io_read_bytes_per_sec: u.read, io_write_bytes_per_sec: u.write, io_reads_per_sec: u.read / 4096, io_writes_per_sec: u.write / 65536,
      net_rx_bytes_per_sec: net === null ? null : net, net_tx_bytes_per_sec: net === null ? null : net * wobble(4, 1), pids_current: u.pids,
      cpu_pressure_fraction: u.psiCpu, memory_pressure_fraction: u.psiMemory, memory_full_pressure_fraction: u.psiMemory * 0.6, io_pressure_fraction: u.psiIo, io_full_pressure_fraction: u.psiIo * 0.8,
      memory_max_bytes: memoryMax, cpu_max_cores: cpuMax, pids_max: pidsMax,
    };
  }

  demand(name, t, one) {
    const base = { cpu: 0.002, user: 0.7, memory: 12 * MIB, read: 0, write: 0, net: 0, pids: 2, psiCpu: 0, psiMemory: 0, psiIo: 0 };
    const wave = 0.5 + 0.5 * Math.sin(t / 47);
    if (name === "api") return { ...base, cpu: wobble(0.16 + 0.2 * wave, 0.09), memory: wobble(141 + 9 * wave, 3) * MIB, net: wobble(60000 + 140000 * wave, 40000), write: random() < 0.2 ? wobble(90000, 60000) : 0, pids: 9, psiCpu: wobble(0.01, 0.02) };
    if (name === "cpu-hog") return { ...base, cpu: wobble(one.limits.cpu_max_cores * 0.995, 0.008), user: 0.96, memory: 1.6 * MIB, pids: 1, psiCpu: wobble(0.42, 0.08), ...this.suppress(one, t) };
    if (name === "memory-leaker") return { ...base, cpu: wobble(0.05, 0.02), memory: this.leak(one, t), pids: 3, psiMemory: this.leaked / one.limits.memory_max_bytes > 0.9 ? wobble(0.16, 0.1) : 0 };
    if (name === "disk-writer") return { ...base, cpu: wobble(0.21, 0.06), user: 0.15, memory: wobble(117, 7) * MIB, write: t % 60 < 41 ? wobble(47, 18) * MIB : wobble(0.4, 0.3) * MIB, read: random() < 0.1 ? 40960 : 0, psiIo: t % 60 < 41 ? wobble(0.31, 0.15) : 0.01 };
    if (name === "nightly-backup") return { ...base, cpu: wobble(0.55, 0.2), memory: (496 + wobble(2, 2)) * MIB, read: wobble(12, 8) * MIB, net: wobble(3, 2) * MIB, pids: 22, psiIo: wobble(0.2, 0.1) };
    return base;
  }

  /** Best-effort cpu is cut while the host is busy, and given back. */
  suppress(one, t) {
    const busy = Math.floor(t / 120) % 2 === 0;
    const wanted = busy ? 0.25 : 0.6;
    if (one.limits.cpu_max_cores !== wanted) {
      const reason = busy ? "node cpu.usedRatio mean 5s 91 % > 85 % for 5 s" : "released: node cpu.usedRatio 58 % < 75 %";
      this.change(one, "cpu_max_cores", wanted, t, "batch-cpu-suppress", reason, "cpu.cfs_quota_us", (cores) => String(cores * 100000), { signal: "cpu.usedRatio", of: "node", value: busy ? 0.91 : 0.58, unit: "ratio", threshold: busy ? 0.85 : 0.75, age_ms: 38 }, busy ? 30 : null);
    }
    return {};
  }

  leak(one, t) {
    this.leaked = this.leaked > 230 * MIB ? 20 * MIB : Math.max(20 * MIB, this.leaked) + wobble(0.7, 0.5) * MIB;
    if (this.leaked < 60 * MIB && one.limits.memory_max_bytes > 96 * MIB) one.limits.memory_max_bytes = 96 * MIB;
    if (this.leaked / one.limits.memory_max_bytes > 0.94 && one.limits.memory_max_bytes < 240 * MIB) {
      const wanted = Math.min(256 * MIB, Math.round((one.limits.memory_max_bytes * 1.25) / MIB) * MIB);
      this.change(one, "memory_max_bytes", wanted, t, "memory-headroom", "memory.usedRatio 94 % > 90 % for 10 s", "memory.limit_in_bytes", String, { signal: "memory.usedRatio", of: "container", value: 0.943, unit: "ratio", threshold: 0.9, age_ms: 41 }, 600);
    }
    return Math.min(this.leaked, one.limits.memory_max_bytes);
  }

  change(one, field, wanted, t, policy, reason, file, spelled, input, leaseSec) {
    const before = one.limits[field];
    const id = `d-${String(this.decisions.length + 1).padStart(6, "0")}`;
    one.limits[field] = wanted;
    one.owners[field] = `policy:${policy}`;
    const write = { controller: field.split("_")[0], file, before: spelled(before), value: spelled(wanted), read_back: spelled(wanted), errno: 0 };
    const until = leaseSec ? iso(t + leaseSec) : null;
    this.decisions.push({
      id, seq: this.decisions.length + 1, at: iso(t), container: one.name, policy: { name: policy, mode: "enforce" }, field, reason, before, value: wanted, inputs: [input],
      predicate: { leaf: `${input.signal} > ${input.threshold}`, true: true, held_s: 10, need_s: 10 }, candidates: [{ name: one.name }, { name: "api", rejected: "class guaranteed" }],
      rails: ["step", "age", "ceiling", "blast radius"].map((rail) => ({ rail, result: "pass" })), writes: [write], outcome: "applied", owner: `policy:${policy}`, lease_until: until, verdict: "pending",
    });
    this.event(t, "limit.change", one.name, "policy", policy, reason, { [field]: before }, { [field]: wanted }, id, until);
  }

  freeze(name, t, actor, reason) {
    const one = this.containers.get(name);
    const changed = one.state !== "frozen";
    one.state = "frozen";
    one.holders = [actor];
    if (changed) this.event(t, "container.freeze", name, actor.split(" ")[0], actor.split(" ")[1] ?? actor, reason);
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

  host(t) {
    const used = [...this.containers.values()].reduce((sum, one) => sum + (one.usage?.cpu_cores ?? 0), 0.25);
    const stall = (some) => ({ some_avg10_fraction: some, full_avg10_fraction: some * 0.5 });
    return {
      t, wall_time: t, cpu_cores_total: 4, cpu_used_cores: used, cpu_used_fraction: used / 4, memory_total_bytes: 16384 * MIB, memory_available_bytes: wobble(10600 - 600 * Math.sin(t / 90), 60) * MIB,
      memory_available_fraction: 0.65, load1: used + 0.3, pressure: { cpu: stall(wobble(0.12, 0.05)), memory: stall(wobble(0.01, 0.01)), io: stall(t % 60 < 41 ? wobble(0.22, 0.06) : wobble(0.03, 0.02)) },
    };
  }
}

function make(one, started, i) {
  return {
    ...one, state: "running", pid: 41200 + i * 17, exit_code: null, image: "/", labels: { team: i % 2 ? "batch" : "platform" }, created_at: iso(started), started_at: iso(started), finished_at: null,
    rootfs: "/", hostname: one.name, supervised: true, oom_killed: false, owners: { memory_max_bytes: "spec", cpu_max_cores: "spec", pids_max: "spec" }, holders: [], history: [], usage: null, inode: 40000 + i,
    cgroups: Object.fromEntries(["cpu", "memory", "blkio", "freezer", "pids", "unified"].map((c) => [c, `/sys/fs/cgroup/${c}/cgwarden/${one.name}`])), limits: { ...one.limits },
  };
}
