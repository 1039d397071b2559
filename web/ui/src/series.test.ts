// The series joins what history gives with what the stream brings: at that seam points would double or vanish.
import { expect, test } from "vitest";
import { Ring, Series } from "./series";

const page = (t: number[], avg: (number | null)[]) => ({ t, metrics: { cpu: { min: avg, avg, max: avg } } });

test("a row that is not newer is dropped, since a stream may repeat itself", () => {
  const series = new Series(["cpu"], 60);

  expect([
    series.append(10, { cpu: 1 }),
    series.append(10, { cpu: 2 }),
    series.append(9, { cpu: 3 }),
  ]).toEqual([true, false, false]);

  expect(series.column("cpu")).toEqual([1]);
});

test("history goes before what the stream has brought meanwhile", () => {
  const series = new Series(["cpu"], 60);
  series.append(12, { cpu: 12 });
  series.append(13, { cpu: 13 });

  series.fill(page([10, 11, 12], [10, 11, null]));

  expect(series.t).toEqual([10, 11, 12, 13]);
  expect(series.column("cpu")).toEqual([10, 11, null, 13]);
});

test("a metric that history does not know is a hole as long as the others", () => {
  const series = new Series(["cpu", "net"], 60);

  series.fill(page([1, 2], [1, 2]));

  expect(series.column("net")).toEqual([null, null]);
});

test("time without a measurement breaks the line", () => {
  const series = new Series(["cpu"], 60);
  series.append(10, { cpu: 1 });
  series.append(20, { cpu: 2 });

  expect(series.t).toEqual([10, 11, 20]);
  expect(series.column("cpu")).toEqual([1, null, 2]);
});

test("old rows go, in every column alike", () => {
  const series = new Series(["cpu"], 100);
  for (let t = 1; t <= 1000; t += 1) series.append(t, { cpu: t });

  expect(series.t.length).toBeLessThan(100 + 2 * 120);
  expect(series.column("cpu").length).toBe(series.t.length);
  expect(series.last("cpu")).toBe(1000);
});

test("a ring keeps its newest values, and older ones go before them only while there is room", () => {
  const ring = new Ring(3);
  ring.push(4);
  ring.push(undefined);
  ring.prepend([1, 2, 3]);
  expect(ring.list()).toEqual([3, 4, null]);

  ring.push(5);
  expect(ring.list()).toEqual([4, null, 5]);
});
