// The enforcer's reasons, as people read them.
import { expect, test } from "vitest";
import { reasonText } from "./reason";

const typed = (text: string): string => text.replaceAll("\u00a0", " ");

test.each([
  [
    "memory.usedRatio 82 % > 80 % for 1 s; node memory.availableRatio 93.6 % > 5 %",
    "memory used 82 %, over 80 % for 1 s; host memory available 93.6 %, over 5 %",
  ],
  [
    "node cpu.usedRatio mean 3s 79.3 % > 65 % for 2 s; 2×0.65 − 0.02 − 1.71 = -0.43 cores",
    "host cpu used 79.3 % (3 s mean), over 65 % for 2 s",
  ],
  [
    "node cpu.usedRatio mean 3s 61 %, not yet below 55 %; 2×0.65 − 0.03 − 0.73 = 0.54 cores",
    "host cpu used 61 % (3 s mean), not yet below 55 %",
  ],
  ["node cpu.usedRatio mean 3s 70.4 % > 65 % for 0 s", "host cpu used 70.4 % (3 s mean), over 65 %"],
  ["memory.timeToLimit 6.38 s < 10 s", "time to the memory limit 6.38 s, under 10 s"],
  ["io.psi.full.avg10 12 % > 5 %", "io pressure of all tasks, 10 s mean 12 %, over 5 %"],
  ["memory.psi.some.stall unknown", "memory pressure unknown"],
  ["the lease of policy:freeze-before-oom ended", "the lease ended"],
  ["overruled by policy:memory-headroom", "overruled by policy memory-headroom"],
  ["limits given at launch", "limits given at launch"],
  ["because 2 = 2 cores", "because 2 = 2 cores"],
  ["", ""],
])("%s", (reason, told) => expect(typed(reasonText(reason))).toBe(told));

test("a signal that this page does not know yet keeps its name", () => {
  expect(typed(reasonText("disk.heat 80 > 70"))).toBe("disk.heat 80 > 70");
});
