// How a container ended, for the page and for the list.
import { expect, test } from "vitest";
import { endingText, failed, shortEnding } from "./ending";

test.each([
  [{ exit_code: 0 }, "exited, exit code 0", "exited 0", false],
  [{ exit_code: 3 }, "exited, exit code 3", "exited 3", true],
  [{ exit_code: 143 }, "killed by SIGTERM, exit code 143", "exited 143", true],
  [{ exit_code: 137, oom_killed: true }, "out of memory, exit code 137", "out of memory (137)", true],
  [{ exit_code: null }, "exited, exit code unknown", "exited", false],
])("%j", (ending, text, short, bad) => {
  expect(endingText(ending)).toBe(text);
  expect(shortEnding(ending)).toBe(short);
  expect(failed(ending)).toBe(bad);
});
