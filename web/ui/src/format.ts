// Numbers and times as people read them. Pure, so that the tests are tables. Bytes count in 1024s, as the command
// line does; "–" stands for a number that the kernel does not offer.

import type { Num } from "./wire";

export const NONE = "–";
/** Between a number and its unit: a line never breaks there. */
const NBSP = "\u00a0";
const STEPS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** Three significant digits and no more decimals than help: 9.53, 95.3, 953. */
export function digits(value: number): string {
  const size = Math.abs(value);
  if (size >= 99.95) return value.toFixed(0);
  return value.toFixed(size >= 9.995 ? 1 : 2);
}

export function bytes(value: Num | undefined): string {
  if (value == null) return NONE;
  let size = value;
  let step = 0;
  while (Math.abs(size) >= 1023.5 && step < STEPS.length - 1) {
    size /= 1024;
    step += 1;
  }
  const text = step === 0 || Number.isInteger(size) ? size.toFixed(0) : digits(size).replace(/\.0+$/, "");
  return `${text}${NBSP}${STEPS[step]}`;
}

/** Bytes per second; what is too small to matter reads as a plain 0. */
export function rate(value: Num | undefined): string {
  if (value == null) return NONE;
  return value < 1 ? "0" : `${bytes(value)}/s`;
}

export function cores(value: Num | undefined): string {
  if (value == null) return NONE;
  if (value !== 0 && value < 0.005) return "<0.01";
  return value >= 99.95 ? value.toFixed(0) : value.toFixed(value >= 9.995 ? 1 : 2);
}

export function percent(fraction: Num | undefined): string {
  if (fraction == null) return NONE;
  const value = fraction * 100;
  if (value > 0 && value < 0.1) return `<0.1${NBSP}%`;
  return `${value >= 9.95 || value === 0 ? value.toFixed(0) : value.toFixed(1)}${NBSP}%`;
}

export function count(value: Num | undefined): string {
  return value == null ? NONE : Math.round(value).toLocaleString("en");
}

/** The value of a limit field: bytes, cores or as it stands; "max" is unlimited. */
export function limit(field: string, value: unknown): string {
  if (value == null) return NONE;
  if (value === "max") return "unlimited";
  if (typeof value === "boolean") return value ? "on" : "off";
  if (typeof value === "number") return limitNumber(field, value);
  if (typeof value === "object") return JSON.stringify(value);
  return value === "" ? NONE : String(value);
}

function limitNumber(field: string, value: number): string {
  if (field.endsWith("_bytes")) return bytes(value);
  if (field.endsWith("_cores")) return `${cores(value)}${NBSP}cores`;
  if (field.endsWith("_usec")) return `${digits(value / 1000).replace(/\.0+$/, "")}${NBSP}ms`;
  return String(value);
}

/** How long, in the two largest units: 45 s, 3 min 20 s, 2 h 5 min, 3 d 4 h. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole}${NBSP}s`;
  if (whole < 3600) return pair(whole, 60, "min", 1, "s");
  return whole < 86400 ? pair(whole, 3600, "h", 60, "min") : pair(whole, 86400, "d", 3600, "h");
}

function pair(value: number, big: number, bigUnit: string, small: number, smallUnit: string): string {
  const rest = Math.floor((value % big) / small);
  const first = `${Math.floor(value / big)}${NBSP}${bigUnit}`;
  return rest > 0 ? `${first} ${rest}${NBSP}${smallUnit}` : first;
}

/** "12 s ago", in one unit, from a unix time in seconds. */
export function ago(then: number, now: number): string {
  const seconds = now - then;
  if (seconds < 2) return "now";
  return `${duration(seconds).split(" ")[0]} ago`;
}

export function unix(time: string | null | undefined): number | null {
  if (!time) return null;
  const value = Date.parse(time);
  return Number.isNaN(value) ? null : value / 1000;
}

export function clock(seconds: number): string {
  const date = new Date(seconds * 1000);
  return [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((n) => String(n).padStart(2, "0"))
    .join(":");
}

export function day(seconds: number): string {
  return new Date(seconds * 1000).toLocaleDateString("en", {
    weekday: "long",
    day: "numeric",
    month: "long",
  });
}

/** Text of the server, in which numbers keep their units: "82 % > 80 %" breaks before the ">" alone. */
export function unbroken(text: string): string {
  return text
    .replace(/(\d) (?=(?:%|[KMGTP]?i?B(?:\/s)?|ms|s|min|m|h|d|cores?)(?![\w]))/g, `$1${NBSP}`)
    .replace(/([<>≤≥=×]) (?=[-−\d])/g, `$1${NBSP}`);
}

/** Text of a container for a text node: escape sequences and control characters are dropped. */
export function plain(text: string): string {
  return text
    .replace(/\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])/g, "")
    .replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, "");
}
