// Axes: where the limit stands, and what happens when there is nothing to draw.
import { expect, test } from "vitest";
import { firstAt, maxOf, sparkPieces, windowStart, yScale } from "./scale";

test("a limit near the data is on the chart, one far above is not", () => {
  expect(yScale(90, 100, 1)).toEqual({ max: 108, limitOutside: false });
  expect(yScale(1, 100, 1)).toMatchObject({ limitOutside: true });
});

test("without data the axis reaches to its floor, so that noise stays small", () => {
  expect(yScale(null, null, 4).max).toBeGreaterThanOrEqual(4);
  expect(yScale(0, 2, 4)).toMatchObject({ limitOutside: false });
});

test("the maximum looks only between its two indices and past the holes", () => {
  expect(
    maxOf(
      [
        [9, 1, null, 2],
        [0, 3, 1, 99],
      ],
      1,
      2,
    ),
  ).toBe(3);
  expect(maxOf([[null, null]], 0, 1)).toBeNull();
  expect(maxOf([], 0, 5)).toBeNull();
});

test.each([
  [0, 0],
  [10, 0],
  [11, 1],
  [30, 2],
  [31, 3],
])("the first index at or after %s is %s", (time, index) => {
  expect(firstAt([10, 20, 30], time)).toBe(index);
});

test("a sparkline breaks at a hole, ends at the right edge and never leaves its box", () => {
  const pieces = sparkPieces([1, 2, null, 4, 8], 5, 4, 100, 20);

  expect(pieces).toEqual(["0.0,15.0 25.0,10.0", "75.0,0.0 100.0,0.0"]);
});

test("a single point and an all-zero line are drawn without dividing by zero", () => {
  expect(sparkPieces([3], 60, 0, 100, 20)).toEqual([]);
  expect(sparkPieces([0, 0], 2, 0, 100, 20)).toEqual(["0.0,20.0 100.0,20.0"]);
});

test("the window of a young container begins with it, but is never shorter than a minute", () => {
  expect(windowStart(1000, 300, 900)).toBe(900);
  expect(windowStart(1000, 300, 990)).toBe(940);
  expect(windowStart(1000, 300, 5)).toBe(700);
  expect(windowStart(1000, 300, undefined)).toBe(700);
});
