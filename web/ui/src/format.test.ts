// Formatting is what people read all day: each line here is a case that looked wrong once.
import { describe, expect, test } from "vitest";
import { ago, bytes, cores, digits, duration, limit, percent, plain, rate, unbroken, unix } from "./format";

/** The tables here are typed with plain spaces; what is shown has unbreakable ones. */
const typed = (text: string): string => text.replaceAll("\u00a0", " ");

describe("numbers", () => {
  test.each([
    [null, "–"],
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1 KiB"],
    [1536, "1.50 KiB"],
    [64 * 2 ** 20, "64 MiB"],
    [1048575, "1 MiB"],
    [45.2 * 2 ** 20, "45.2 MiB"],
    [5.21 * 2 ** 30, "5.21 GiB"],
    [2 ** 63, "8192 PiB"],
  ])("bytes of %s read %s", (value, text) => expect(typed(bytes(value))).toBe(text));

  test.each([
    [null, "–"],
    [0.4, "0"],
    [12 * 1024, "12 KiB/s"],
  ])("a rate of %s reads %s", (value, text) => expect(typed(rate(value))).toBe(text));

  test.each([
    [null, "–"],
    [0, "0.00"],
    [0.001, "<0.01"],
    [0.5, "0.50"],
    [12.34, "12.3"],
    [128, "128"],
  ])("%s cores read %s", (value, text) => expect(cores(value)).toBe(text));

  test.each([
    [null, "–"],
    [0, "0 %"],
    [0.0004, "<0.1 %"],
    [0.031, "3.1 %"],
    [0.71, "71 %"],
    [1.5, "150 %"],
  ])("a fraction of %s reads %s", (value, text) => expect(typed(percent(value))).toBe(text));

  test.each([
    [9.996, "10.0"],
    [9.99, "9.99"],
    [99.96, "100"],
    [953.4, "953"],
  ])("%s has three digits: %s", (value, text) => expect(digits(value)).toBe(text));
});

describe("limits", () => {
  test.each<[string, unknown, string]>([
    ["memory_max_bytes", 67108864, "64 MiB"],
    ["memory_max_bytes", "max", "unlimited"],
    ["memory_max_bytes", null, "–"],
    ["cpu_max_cores", 0.5, "0.50 cores"],
    ["pids_max", 0, "0"],
    ["cpu_idle", false, "off"],
    ["cpuset_cpus", "0-1", "0-1"],
    ["cpu_period_usec", 100000, "100 ms"],
    ["io_max", { "8:0": {} }, '{"8:0":{}}'],
  ])("%s %s reads %s", (field, value, text) => expect(typed(limit(field, value))).toBe(text));
});

describe("times", () => {
  test.each([
    [0, "0 s"],
    [59.9, "59 s"],
    [200, "3 min 20 s"],
    [3600, "1 h"],
    [7500, "2 h 5 min"],
    [273600, "3 d 4 h"],
    [-3, "0 s"],
  ])("%s s last %s", (value, text) => expect(typed(duration(value))).toBe(text));

  test("what has just happened is now, and later ones have one unit", () => {
    expect(ago(100, 101)).toBe("now");
    expect(typed(ago(100, 301))).toBe("3 min ago");
  });

  test("a time that is none is null, not the year 1970", () => {
    expect(unix(null)).toBeNull();
    expect(unix("yesterday")).toBeNull();
    expect(unix("1970-01-01T00:00:01Z")).toBe(1);
  });
});

test("a container's bytes lose escape sequences and control characters, and nothing else", () => {
  expect(plain("\x1b[31mred\x1b[0m \x1b]0;title\x07plain\ttab\r <b>é</b>\x00")).toBe(
    "red plain\ttab <b>é</b>",
  );
});

test("a number is never parted from its unit", () => {
  expect(percent(0.82)).toBe("82\u00a0%");
  expect(unbroken("memory 82 % > 80 % for 1 s")).toBe("memory 82\u00a0% >\u00a080\u00a0% for 1\u00a0s");
  expect(unbroken("2 boxes and 3 sheep")).toBe("2 boxes and 3 sheep");
});
