/** Figures in rows over the same windows: the stronger the colour the higher, another colour above the threshold. */
import { figure } from "../text/format";

const FAINTEST = 0.06;

interface Row {
  name: string;
  values: readonly (number | null)[];
}

export function Heatmap(props: { rows: readonly Row[]; titles: readonly string[]; threshold: number }) {
  return (
    <div class="heatmap">
      {props.rows.map((row) => (
        <RowOfCells key={row.name} row={row} titles={props.titles} threshold={props.threshold} />
      ))}
    </div>
  );
}

function RowOfCells(props: { row: Row; titles: readonly string[]; threshold: number }) {
  const { row, threshold } = props;
  const above = row.values.filter((value) => value !== null && value > threshold).length;
  return (
    <>
      <span>{row.name}</span>
      <svg
        viewBox={`0 0 ${row.values.length} 1`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${row.name}: above ${figure(threshold)} in ${above} of ${row.values.length} windows`}
      >
        {row.values.map((value, at) => (
          <rect
            key={at}
            class={value !== null && value > threshold ? "above" : ""}
            x={at + 0.04}
            width={0.92}
            height={1}
            fill-opacity={strength(value, threshold)}
          >
            <title>{`${props.titles[at]}: ${value === null ? "not measured" : figure(value)}`}</title>
          </rect>
        ))}
      </svg>
    </>
  );
}

/** Up to the threshold in proportion; above it stronger by how many times. */
function strength(value: number | null, threshold: number): number {
  if (value === null) return 0;
  const times = value / threshold;
  return times > 1 ? Math.min(1, 0.55 + times / 8) : FAINTEST + 0.6 * Math.max(0, times);
}
