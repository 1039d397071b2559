// A policy's reason in words. The journal names signals as policy files do (`memory.usedRatio 82 % > 80 % for 1 s`);
// a headline says "memory used 82 %, over 80 % for 1 s" and leaves names and formulas to the evidence.

import { unbroken } from "./format";

const SIGNALS: Record<string, string> = {
  "cpu.cores": "cpu",
  "cpu.usedRatio": "cpu used",
  "cpu.capacity": "cpus",
  "cpu.nonTargetCores": "cpu of the others",
  "cpu.systemCores": "cpu of the system",
  "cpu.throttledRatio": "cpu throttled",
  "memory.usage": "memory",
  "memory.workingSet": "working set",
  "memory.anon": "anonymous memory",
  "memory.usedRatio": "memory used",
  "memory.availableRatio": "memory available",
  "memory.slope": "memory growth",
  "memory.timeToLimit": "time to the memory limit",
  "io.readRate": "reads",
  "io.writeRate": "writes",
  "io.readOps": "read operations",
  "io.writeOps": "write operations",
  "net.rxRate": "network received",
  "net.txRate": "network sent",
  "pids.count": "pids",
  "pids.usedRatio": "pids used",
  "container.age": "age",
  "container.frozen": "frozen",
  "sample.age": "age of the sample",
};

const CLAUSE = /^(node )?([a-z]+\.[A-Za-z0-9.]+)(?: (mean|min|max|p\d+) ([\d.]+)s)? (.+)$/;
const FORMULA = /^[^a-z]*\S+ = -?[\d.]+ \S+$/;

export function signalText(name: string): string {
  const stall = /^(cpu|memory|io)\.psi\.(some|full)\.(?:avg(\d+)|stall)$/.exec(name);
  if (!stall) return SIGNALS[name] ?? name;
  const [, resource, kind, seconds] = stall;
  return `${resource} pressure${kind === "full" ? " of all tasks" : ""}${seconds ? `, ${seconds} s mean` : ""}`;
}

export function reasonText(reason: string): string {
  const clauses = reason.split("; ");
  const told = clauses.filter((clause) => clauses.length === 1 || !FORMULA.test(clause)).map(clauseText);
  return unbroken(told.join("; "));
}

function clauseText(clause: string): string {
  const parts = CLAUSE.exec(clause);
  if (!parts || signalText(parts[2] ?? "") === parts[2]) return plainClause(clause);
  const [, node, name = "", stat, window, rest = ""] = parts;
  const [, value = rest, side, bound = ""] = /^(.+?) ([<>]) (.+)$/.exec(rest) ?? [];
  const [now = "", ...later] = value.split(", ");
  const told = `${node ? "host " : ""}${signalText(name)} ${now}${stat ? ` (${window} s ${stat})` : ""}`;
  if (!side) return [told, ...later].join(", ");
  return `${told}, ${side === ">" ? "over" : "under"} ${bound.replace(/ for 0 s$/, "")}`;
}

const plainClause = (clause: string): string =>
  clause.replace(/^the lease of \S+ ended$/, "the lease ended").replaceAll(/\bpolicy:(?=\w)/g, "policy ");
