// How a container ended, in words: the exit code alone does not tell that 137 was a kill, or that memory ran out.

import type { Num } from "./wire";

interface Ending {
  exit_code?: unknown;
  oom_killed?: unknown;
}

const SIGNALS: Record<number, string> = {
  1: "SIGHUP",
  2: "SIGINT",
  3: "SIGQUIT",
  4: "SIGILL",
  6: "SIGABRT",
  7: "SIGBUS",
  8: "SIGFPE",
  9: "SIGKILL",
  11: "SIGSEGV",
  13: "SIGPIPE",
  15: "SIGTERM",
};
// As shells count: 128 and the number of the signal.
const BY_SIGNAL = 128;

const codeOf = ({ exit_code }: Ending): Num => (typeof exit_code === "number" ? exit_code : null);

export function endingText(ending: Ending): string {
  const code = codeOf(ending);
  const told = code === null ? "exit code unknown" : `exit code ${code}`;
  if (ending.oom_killed === true) return `out of memory, ${told}`;
  const signal = SIGNALS[(code ?? 0) - BY_SIGNAL];
  return signal ? `killed by ${signal}, ${told}` : `exited, ${told}`;
}

/** Whether somebody should look: out of memory, or a code that is not 0. */
export function failed(ending: Ending): boolean {
  return ending.oom_killed === true || (codeOf(ending) ?? 0) !== 0;
}

/** For a narrow column. */
export function shortEnding(ending: Ending): string {
  const code = codeOf(ending);
  if (ending.oom_killed === true) return `out of memory${code === null ? "" : ` (${code})`}`;
  return code === null ? "exited" : `exited ${code}`;
}
