/** Parallel coordinates: one axis for each parameter and the metric, one line for each run. */
import { figure } from "../text/format";
import { scaleOf } from "./scale";

interface ParallelProps {
  axes: readonly string[];
  lines: readonly { label: string; colour: string; values: readonly unknown[] }[];
}

const [WIDTH, HEIGHT, TOP, SIDE] = [900, 300, 40, 60];

export function Parallel(props: ParallelProps) {
  const { axes, lines } = props;
  const scales = axes.map((_, axis) => scaleOf(lines.map((line) => line.values[axis]), figure));
  const x = (axis: number) => SIDE + (axis / Math.max(1, axes.length - 1)) * (WIDTH - 2 * SIDE);
  const y = (place: number) => HEIGHT - 16 - place * (HEIGHT - 16 - TOP);
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label="Parallel coordinates">
      <svg class="parallel" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${lines.length} runs over ${axes.join(", ")}`}>
        {lines.map((line) => (
          <path
            key={line.label + line.colour}
            class="parallel-line"
            style={{ stroke: line.colour }}
            d={line.values
              .map((value, axis) => [x(axis), scales[axis]!.place(value)] as const)
              .filter(([, place]) => place !== null)
              .map(([at, place], order) => `${order ? "L" : "M"}${at},${y(place!)}`)
              .join("")}
          >
            <title>{line.label}</title>
          </path>
        ))}
        {axes.map((name, axis) => (
          <g key={name}>
            <line class="parallel-axis" x1={x(axis)} x2={x(axis)} y1={y(0)} y2={y(1)} />
            <text class="parallel-name" x={x(axis)} y={18}>
              {name.length > 22 ? `${name.slice(0, 21)}…` : name}
            </text>
            {scales[axis]!.ticks.map((tick) => (
              <text key={tick.label} class="parallel-tick" x={x(axis) + 6} y={y(tick.at) + 4}>
                {tick.label.length > 14 ? `${tick.label.slice(0, 13)}…` : tick.label}
              </text>
            ))}
          </g>
        ))}
      </svg>
    </div>
  );
}
