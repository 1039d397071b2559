// What is sent when somebody edits limits.
import { expect, test } from "vitest";
import { wishOf } from "./limitwish";
import type { LimitValue } from "./wire";

const document = (values: Record<string, LimitValue>) => ({
  revision: "1",
  fields: Object.fromEntries(
    Object.entries(values).map(([field, value]) => [
      field,
      { value, owner: "spec", baseline: null, expires_at: null },
    ]),
  ),
});

test("a field that was not changed is not sent, however it is spelled", () => {
  const inForce = document({ memory_max_bytes: 67108864, pids_max: "max" });

  expect(wishOf(inForce, { memory_max_bytes: "64M", pids_max: "unlimited" })).toEqual({
    patch: {},
    problems: {},
  });
  expect(wishOf(inForce, { memory_max_bytes: "65536K" })).toEqual({ patch: {}, problems: {} });
});

test("what differs is sent as the API takes it, and lifting is the word max", () => {
  const wish = wishOf(document({ memory_max_bytes: 67108864, cpu_max_cores: 0.5 }), {
    memory_max_bytes: "max",
    cpu_max_cores: "50%",
  });

  expect(wish).toEqual({ patch: { memory_max_bytes: "max" }, problems: {} });
});

test("one bad field does not hide the others", () => {
  const wish = wishOf(document({ memory_max_bytes: 1, pids_max: 1 }), {
    memory_max_bytes: "lots",
    pids_max: "2",
  });

  expect(wish.patch).toEqual({ pids_max: 2 });
  expect(Object.keys(wish.problems)).toEqual(["memory_max_bytes"]);
});
