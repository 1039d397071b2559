// The form's grammar is the command line's: what differs between the two would surprise at the worst moment.
import { expect, test } from "vitest";
import { parseLimit, typedForm } from "./units";

test.each<[string, string, unknown]>([
  ["memory_max_bytes", "64M", 64 * 2 ** 20],
  ["memory_max_bytes", "64 MiB", 64 * 2 ** 20],
  ["memory_max_bytes", "512mb", 512 * 2 ** 20],
  ["memory_max_bytes", "1.5g", 1.5 * 2 ** 30],
  ["memory_max_bytes", "1048576", 1048576],
  ["memory_max_bytes", "max", "max"],
  ["memory_max_bytes", "Unlimited", "max"],
  ["cpu_max_cores", "0.5", 0.5],
  ["cpu_max_cores", "500m", 0.5],
  ["cpu_max_cores", "150%", 1.5],
  ["cpu_max_cores", "2 cores", 2],
  ["pids_max", "50", 50],
  ["cpuset_cpus", "0-3,8", "0-3,8"],
])("%s %s is %s", (field, text, value) => expect(parseLimit(field, text)).toEqual({ value }));

test.each([
  ["memory_max_bytes", ""],
  ["memory_max_bytes", "-1"],
  ["memory_max_bytes", "64X"],
  ["memory_max_bytes", "lots"],
  ["cpu_max_cores", "nan"],
  ["cpu_max_cores", "0"],
  ["cpu_max_cores", "-0.5"],
  ["pids_max", "1.5"],
  ["cpuset_cpus", "0-"],
])("%s “%s” is refused with a sentence", (field, text) =>
  expect(parseLimit(field, text)).toHaveProperty("problem"),
);

test.each<[string, unknown]>([
  ["memory_max_bytes", 64 * 2 ** 20],
  ["memory_max_bytes", 12345],
  ["cpu_max_cores", 0.5],
  ["pids_max", "max"],
])("what the form shows for %s %s parses back to it", (field, value) =>
  expect(parseLimit(field, typedForm(field, value))).toEqual({ value }),
);
