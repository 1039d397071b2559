// What the limits form asks of the API: only what differs from the values in force, so that nobody takes over a field
// that they did not touch.

import { parseLimit, typedForm } from "./units";
import type { LimitsDocument, LimitValue } from "./wire";

/** The fields that the form offers, each with examples of what may be typed. */
export const FIELDS: Record<string, string> = {
  memory_max_bytes: "64M, 1.5G or max",
  memory_high_bytes: "48M or max",
  memory_swap_max_bytes: "0, 64M or max",
  cpu_max_cores: "0.5, 150% or max",
  cpu_shares: "2 to 262144",
  cpuset_cpus: "0-3,8",
  pids_max: "50 or max",
  blkio_weight: "10 to 1000",
};

export const LEASES: Record<string, number> = {
  "1 minute": 60,
  "10 minutes": 600,
  "1 hour": 3600,
  "8 hours": 28800,
};

export interface Wish {
  patch: Record<string, LimitValue>;
  problems: Record<string, string>;
}
export const NO_WISH: Wish = { patch: {}, problems: {} };

/** The patch for what was typed, and a sentence for each text that is no value. */
export function wishOf(document: LimitsDocument, typed: Record<string, string>): Wish {
  const wish: Wish = { patch: {}, problems: {} };
  for (const [field, text] of Object.entries(typed)) {
    const inForce = document.fields[field]?.value ?? null;
    if (text.trim() === typedForm(field, inForce)) continue;
    const parsed = parseLimit(field, text);
    if ("problem" in parsed) wish.problems[field] = parsed.problem;
    else if (parsed.value !== inForce) wish.patch[field] = parsed.value;
  }
  return wish;
}
