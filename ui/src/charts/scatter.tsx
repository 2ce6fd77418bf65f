/** One dot for each run: a metric against a parameter. */
import { figure } from "../text/format";
import { scaleOf } from "./scale";

interface ScatterProps {
  label: string;
  points: readonly { label: string; colour: string; x: unknown; y: number | null }[];
}

const [WIDTH, HEIGHT, LEFT, BOTTOM] = [900, 260, 64, 28];

export function Scatter(props: ScatterProps) {
  const across = scaleOf(props.points.map((point) => point.x), figure);
  const up = scaleOf(props.points.map((point) => point.y), figure);
  const x = (place: number) => LEFT + 12 + place * (WIDTH - LEFT - 60);
  const y = (place: number) => HEIGHT - BOTTOM - 12 - place * (HEIGHT - BOTTOM - 28);
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label={props.label}>
      <svg class="scatter" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={props.label}>
        <path class="parallel-axis" d={`M${LEFT},8V${HEIGHT - BOTTOM}H${WIDTH - 20}`} fill="none" />
        {across.ticks.map((tick) => (
          <text key={tick.label} class="scatter-across" x={x(tick.at)} y={HEIGHT - 8}>
            {tick.label}
          </text>
        ))}
        {up.ticks.map((tick) => (
          <text key={tick.label} class="scatter-up" x={LEFT - 8} y={y(tick.at) + 4}>
            {tick.label}
          </text>
        ))}
        {props.points.map((point, order) => {
          const [right, above] = [across.place(point.x), up.place(point.y)];
          if (right === null || above === null) return null;
          return (
            <circle key={order} cx={x(right)} cy={y(above)} r="6" style={{ fill: point.colour }}>
              <title>{`${point.label}: ${String(point.x)}, ${figure(point.y)}`}</title>
            </circle>
          );
        })}
      </svg>
    </div>
  );
}
