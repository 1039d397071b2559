// A sparkline: the last minute of one number, with its limit as a hairline. SVG, so that it takes the colours of
// the style sheet in dark and light.

import { sparkPieces } from "../scale";
import type { Num } from "../wire";

interface Props {
  values: readonly Num[];
  size?: number;
  limit?: Num;
  floor: number;
  width?: number;
  height?: number;
  colour?: string;
}

export function Spark({
  values,
  size = 60,
  limit = null,
  floor,
  width = 96,
  height = 26,
  colour = "var(--c-blue)",
}: Props) {
  const data = Math.max(floor, ...values.map((value) => value ?? 0));
  const limitShown = limit !== null && limit <= data * 4;
  const max = (limitShown ? Math.max(data, limit) : data) * 1.06;
  const limitY = limitShown ? height - (limit / max) * height : 0;
  // No longer than what was measured under it.
  const limitX = Math.max(0, width - ((values.length - 1) * width) / Math.max(1, size - 1));
  return (
    <svg class="spark" viewBox={`0 -1 ${width} ${height + 2}`} preserveAspectRatio="none" aria-hidden="true">
      {limitShown && <line class="spark-limit" x1={limitX} x2={width} y1={limitY} y2={limitY} />}
      {sparkPieces(values, size, max, width, height).map((points, i) => (
        <g key={i}>
          <polygon points={closed(points, height)} fill={colour} fill-opacity="0.13" />
          <polyline
            points={points}
            fill="none"
            stroke={colour}
            stroke-width="1.5"
            stroke-linejoin="round"
            vector-effect="non-scaling-stroke"
          />
        </g>
      ))}
    </svg>
  );
}

/** The area below a line, down to the ground. */
function closed(points: string, height: number): string {
  const parts = points.split(" ");
  const x = (point: string | undefined): string => point?.split(",")[0] ?? "0";
  return `${x(parts[0])},${height} ${points} ${x(parts.at(-1))},${height}`;
}
