// The made-up containers, and chance with a fixed seed: the same start gives the same picture.

export const MIB = 1 << 20;

let seed = 7;
export const random = () => ((seed = (seed * 1103515245 + 12345) % 2147483648), seed / 2147483648);
export const wobble = (middle, spread) => Math.max(0, middle + (random() + random() - 1) * spread);

const spec = (name, command, klass, limits, network = "host") => ({
  name,
  command,
  class: klass,
  limits,
  network,
});
export const SPECS = [
  spec("api", ["python3", "-m", "http.server", "8080"], "guaranteed", {
    memory_max_bytes: 256 * MIB,
    cpu_max_cores: 1,
    pids_max: 64,
  }),
  spec(
    "cpu-hog",
    ["sh", "-c", "while :; do :; done"],
    "besteffort",
    { memory_max_bytes: 64 * MIB, cpu_max_cores: 0.6, pids_max: 16 },
    "none",
  ),
  spec(
    "memory-leaker",
    ["python3", "leak.py", "--rate", "2M"],
    "burstable",
    { memory_max_bytes: 96 * MIB, cpu_max_cores: 0.5, pids_max: 32 },
    "none",
  ),
  spec(
    "disk-writer",
    ["dd", "if=/dev/zero", "of=/tmp/out", "bs=1M"],
    "burstable",
    { memory_max_bytes: 128 * MIB, cpu_max_cores: null, pids_max: 32 },
    "none",
  ),
  spec("nightly-backup", ["restic", "backup", "/srv"], "besteffort", {
    memory_max_bytes: 512 * MIB,
    cpu_max_cores: 2,
    pids_max: 128,
  }),
  spec(
    "migrate-0042",
    ["./migrate", "--to", "0042"],
    "burstable",
    { memory_max_bytes: 64 * MIB, cpu_max_cores: 1, pids_max: 32 },
    "none",
  ),
];

export const iso = (t) => new Date(t * 1000).toISOString();

export function make(one, started, i) {
  return {
    ...one,
    state: "running",
    pid: 41200 + i * 17,
    exit_code: null,
    image: "/",
    labels: { team: i % 2 ? "batch" : "platform" },
    created_at: iso(started),
    started_at: iso(started),
    finished_at: null,
    rootfs: "/",
    hostname: one.name,
    supervised: true,
    oom_killed: false,
    owners: { memory_max_bytes: "spec", cpu_max_cores: "spec", pids_max: "spec" },
    holders: [],
    history: [],
    usage: null,
    inode: 40000 + i,
    cgroups: Object.fromEntries(
      ["cpu", "memory", "blkio", "freezer", "pids", "unified"].map((c) => [
        c,
        `/sys/fs/cgroup/${c}/cgwarden/${one.name}`,
      ]),
    ),
    limits: { ...one.limits },
  };
}
