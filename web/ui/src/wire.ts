// The shapes of /api/v1 as the server writes them, in one place, so that a renamed field is one compile error.
// `null` is "the kernel offers no such number here", "max" is unlimited: they are never mixed up with 0.

export type Num = number | null;
export type LimitValue = number | string | boolean | null;

/** Rates and fractions of one container; the names are those of /history as well. */
export interface Usage {
  cpu_cores: Num;
  cpu_user_cores: Num;
  cpu_system_cores: Num;
  cpu_limit_fraction: Num;
  cpu_throttled_fraction: Num;
  memory_usage_bytes: Num;
  memory_working_set_bytes: Num;
  memory_anon_bytes: Num;
  memory_file_bytes: Num;
  memory_limit_fraction: Num;
  io_read_bytes_per_sec: Num;
  io_write_bytes_per_sec: Num;
  io_reads_per_sec: Num;
  io_writes_per_sec: Num;
  net_rx_bytes_per_sec: Num;
  net_tx_bytes_per_sec: Num;
  pids_current: Num;
  cpu_pressure_fraction: Num;
  memory_pressure_fraction: Num;
  memory_full_pressure_fraction: Num;
  io_pressure_fraction: Num;
  io_full_pressure_fraction: Num;
  memory_max_bytes: Num;
  cpu_max_cores: Num;
  pids_max: Num;
}
export type Metric = keyof Usage;

export type State = "created" | "running" | "frozen" | "exited";
export type Limits = Record<string, LimitValue | Record<string, unknown>>;

export interface Container {
  name: string;
  state: State;
  pid: number | null;
  exit_code: number | null;
  image: string;
  labels: Record<string, string>;
  created_at: string | null;
  started_at: string | null;
  finished_at: string | null;
  class: string;
  command: string[];
  rootfs: string;
  network: string;
  hostname: string;
  supervised: boolean;
  oom_killed: boolean;
  usage: Partial<Usage> | null;
  limits: Limits | null;
  stale?: boolean;
}

export interface Inspected extends Container {
  owners: Record<string, string>;
  cgroups: Record<string, string>;
  holders: string[];
  inode: number | null;
  /** As it was started: what is left to tell of one that has ended. */
  spec_limits?: Limits;
}

/** A container as a stream frame has it: the name and whatever changes each second. */
export type ContainerFrame = Partial<Container> & { name: string };

export interface Stall {
  some_avg10_fraction: Num;
  full_avg10_fraction: Num;
}

export interface Host {
  cpu_cores_total: Num;
  cpu_used_cores: Num;
  cpu_used_fraction: Num;
  memory_total_bytes: Num;
  memory_available_bytes: Num;
  memory_available_fraction: Num;
  pressure: { cpu: Stall | null; memory: Stall | null; io: Stall | null } | null;
  load1?: Num;
  hostname?: string;
  /** The sweep's clock, in unix seconds. */
  wall_time?: number;
  cpu_pressure_fraction?: Num;
  memory_pressure_fraction?: Num;
  io_pressure_fraction?: Num;
}

export interface EventRecord {
  id: number;
  time: string;
  type: string;
  container: { name: string } | null;
  actor: { kind: string; name: string };
  reason: string;
  before: unknown;
  after: unknown;
  decision: string | null;
  until: string | null;
}

export interface LimitField {
  value: LimitValue;
  owner: string | null;
  baseline: LimitValue;
  expires_at: string | null;
}

export interface LimitsDocument {
  fields: Record<string, LimitField>;
  revision: number | string;
}

export interface KernelWrite {
  controller?: string;
  file: string;
  before: string | null;
  value?: string;
  wanted?: string;
  read_back?: string | null;
  readback?: string | null;
  errno?: number;
  key?: string | null;
}

export interface LimitOutcome {
  name: string;
  changed: boolean;
  status: string;
  decision: string | null;
  writes: KernelWrite[];
}

export interface Holding {
  name: string;
  changed: boolean;
  state: State;
  holders: string[];
}

export interface History {
  t: number[];
  metrics: Record<string, { min: Num[]; avg: Num[]; max: Num[] }>;
  events?: EventRecord[];
}

export interface LogLine {
  time: string;
  stream: "stdout" | "stderr";
  partial: boolean;
  data: string;
}

export interface Input {
  signal: string;
  of?: string;
  value: Num;
  unit?: string;
  threshold?: Num;
  age_ms?: Num;
  source?: string;
}

/** The journal's record of one decision. Refused and observed ones look the same as applied ones. */
export interface Decision {
  id: string;
  at: string;
  container?: string | { name: string } | null;
  target?: string | { name: string } | null;
  before?: unknown;
  wanted?: unknown;
  policy?: { name: string; mode?: string } | string | null;
  action?: unknown;
  field?: string | null;
  reason?: string;
  formula?: string | null;
  inputs?: Input[];
  predicate?: unknown;
  candidates?: { name: string; rejected?: string }[];
  rails?: { rail: string; result: string; detail?: string }[];
  writes?: KernelWrite[];
  outcome: string;
  owner?: string | null;
  lease_until?: string | null;
  verdict?: string | null;
}

export interface Policy {
  name: string;
  mode?: string;
  [key: string]: unknown;
}
