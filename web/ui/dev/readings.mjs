// What the made-up kernel would report, in the shapes of the API.

import { MIB, wobble } from "./specs.mjs";

/** A container's usage on the wire, from what it demands and what it may have. */
export function usageOf(one, u) {
  if (one.state === "frozen")
    Object.assign(u, { cpu: 0, user: 0, read: 0, write: 0, net: 0, psiCpu: 0, psiMemory: 0, psiIo: 0 });
  const { memory_max_bytes: memoryMax, cpu_max_cores: cpuMax, pids_max: pidsMax } = one.limits;
  const net = one.network === "none" ? null : u.net;
  return {
    cpu_cores: u.cpu,
    cpu_user_cores: u.cpu * u.user,
    cpu_system_cores: u.cpu * (1 - u.user),
    cpu_limit_fraction: cpuMax ? u.cpu / cpuMax : null,
    cpu_throttled_fraction: cpuMax && u.cpu / cpuMax > 0.95 ? wobble(0.6, 0.2) : 0,
    memory_usage_bytes: Math.round(u.memory),
    memory_working_set_bytes: Math.round(u.memory * 0.86),
    memory_anon_bytes: Math.round(u.memory * 0.7),
    memory_file_bytes: Math.round(u.memory * 0.3),
    memory_limit_fraction: u.memory / memoryMax,
    io_read_bytes_per_sec: u.read,
    io_write_bytes_per_sec: u.write,
    io_reads_per_sec: u.read / 4096,
    io_writes_per_sec: u.write / 65536,
    net_rx_bytes_per_sec: net === null ? null : net,
    net_tx_bytes_per_sec: net === null ? null : net * wobble(4, 1),
    pids_current: u.pids,
    cpu_pressure_fraction: u.psiCpu,
    memory_pressure_fraction: u.psiMemory,
    memory_full_pressure_fraction: u.psiMemory * 0.6,
    io_pressure_fraction: u.psiIo,
    io_full_pressure_fraction: u.psiIo * 0.8,
    memory_max_bytes: memoryMax,
    cpu_max_cores: cpuMax,
    pids_max: pidsMax,
  };
}

/** The host's usage on the wire. */
export function hostOf(containers, t) {
  const used = [...containers].reduce((sum, one) => sum + (one.usage?.cpu_cores ?? 0), 0.25);
  const stall = (some) => ({ some_avg10_fraction: some, full_avg10_fraction: some * 0.5 });
  return {
    t,
    wall_time: t,
    cpu_cores_total: 4,
    cpu_used_cores: used,
    cpu_used_fraction: used / 4,
    memory_total_bytes: 16384 * MIB,
    memory_available_bytes: wobble(10600 - 600 * Math.sin(t / 90), 60) * MIB,
    memory_available_fraction: 0.65,
    load1: used + 0.3,
    pressure: {
      cpu: stall(wobble(0.12, 0.05)),
      memory: stall(wobble(0.01, 0.01)),
      io: stall(t % 60 < 41 ? wobble(0.22, 0.06) : wobble(0.03, 0.02)),
    },
  };
}
