// What people type into the limit form becomes the API's value here, with the command line's grammar: 512m is
// 512 MiB, 500m cores is half a core, "max" lifts. The wrong text gives a sentence, never a guess.

import type { LimitValue } from "./wire";

export type Parsed = { value: LimitValue } | { problem: string };

const LIFTED = new Set(["max", "unlimited", "infinity"]);
const POWERS: Record<string, number> = { b: 0, k: 1, m: 2, g: 3, t: 4 };

export function parseLimit(field: string, text: string): Parsed {
  const typed = text.trim().toLowerCase();
  if (typed === "") return { problem: "Type a value, or max to lift the limit." };
  if (LIFTED.has(typed)) return { value: "max" };
  if (field.endsWith("_bytes")) return parseBytes(typed);
  if (field.endsWith("_cores")) return parseCores(typed);
  if (field.startsWith("cpuset_")) return parseList(typed);
  return parseCount(typed);
}

export function parseBytes(typed: string): Parsed {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])i?b?|b)?$/.exec(typed);
  if (!match) return { problem: "Bytes look like 64M, 1.5G or 1048576." };
  return { value: Math.round(Number(match[1]) * 1024 ** (POWERS[match[2] ?? "b"] ?? 0)) };
}

export function parseCores(typed: string): Parsed {
  const match = /^(\d+(?:\.\d+)?)\s*(m|%|cores?)?$/.exec(typed);
  const value = match ? Number(match[1]) / ({ m: 1000, "%": 100 }[match[2] ?? ""] ?? 1) : 0;
  return value > 0 ? { value } : { problem: "Cores look like 0.5, 150% or 500m, and more than 0." };
}

export function parseCount(typed: string): Parsed {
  return /^\d+$/.test(typed) ? { value: Number(typed) } : { problem: "A whole number, or max." };
}

function parseList(typed: string): Parsed {
  return /^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(typed)
    ? { value: typed }
    : { problem: "CPUs and nodes look like 0-3,8." };
}

/** The text that stands in the form for a value in force: parsing it gives the same value back. */
export function typedForm(field: string, value: unknown): string {
  if (typeof value !== "number") return value == null ? "" : String(value);
  if (!field.endsWith("_bytes")) return String(value);
  for (const [unit, power] of [
    ["G", 3],
    ["M", 2],
    ["K", 1],
  ] as const) {
    if (value >= 1024 ** power && value % 1024 ** power === 0) return `${value / 1024 ** power}${unit}`;
  }
  return String(value);
}
