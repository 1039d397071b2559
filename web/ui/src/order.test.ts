// Sorting and filtering the list.
import { expect, test } from "vitest";
import { matches, sorted } from "./order";
import type { Container } from "./wire";

const container = (name: string, cpu: number | null, rest: Partial<Container> = {}): Container => ({
  name,
  state: "running",
  pid: 1,
  exit_code: null,
  image: "/srv/root",
  labels: {},
  created_at: null,
  started_at: null,
  finished_at: null,
  class: "burstable",
  command: ["sleep", "9"],
  rootfs: "/",
  network: "none",
  hostname: name,
  supervised: true,
  oom_killed: false,
  usage: { cpu_cores: cpu },
  limits: null,
  ...rest,
});
const names = (list: Container[]) => list.map((one) => one.name).join("");
const none = () => 0;

test("a value that nobody knows is last, whichever way one sorts", () => {
  const list = [container("a", null), container("b", 1), container("c", 2)];

  expect(names(sorted(list, { column: "cpu", down: true }, none))).toBe("cba");
  expect(names(sorted(list, { column: "cpu", down: false }, none))).toBe("bca");
});

test("equal values stand by name, so that rows do not swap for nothing", () => {
  expect(names(sorted([container("b", 1), container("a", 1)], { column: "cpu", down: true }, none))).toBe(
    "ab",
  );
});

test("running ones come first when sorted by state", () => {
  const list = [
    container("a", null, { state: "exited" }),
    container("b", 1),
    container("c", 0, { state: "frozen" }),
  ];

  expect(names(sorted(list, { column: "state", down: false }, none))).toBe("bca");
});

test.each([
  ["", true],
  ["WEB", true],
  ["web sleep", true],
  ["team=core", true],
  ["besteffort", false],
  ["web frozen", false],
])("“%s” finds web: %s", (filter, found) => {
  expect(matches(container("web", 1, { labels: { team: "core" } }), filter)).toBe(found);
});
