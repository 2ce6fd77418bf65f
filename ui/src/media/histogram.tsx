/** How values were distributed at one step, with the figures that the bars alone do not tell. */
import type { ArtifactEntry } from "../api-types";
import { artifactPath, Show, useResource } from "../api/resource";
import { compact, figure } from "../text/format";

interface Counted {
  edges: number[];
  counts: number[];
  count?: number;
  not_finite?: number;
  min?: number | null;
  max?: number | null;
  mean?: number | null;
  std?: number | null;
}

export function Distribution(props: { file: ArtifactEntry; label: string }) {
  const found = useResource<Counted>(artifactPath(props.file));
  return <Show of={found}>{(counted) => <Bars of={counted} label={props.label} />}</Show>;
}

function Bars(props: { of: Counted; label: string }) {
  const { edges, counts, count, not_finite, mean, std, min, max } = props.of;
  if (!Array.isArray(edges) || !Array.isArray(counts) || counts.length === 0) return <p class="quiet">It holds no counts.</p>;
  const [low, high] = [edges[0]!, edges.at(-1)!];
  const range = high - low || 1;
  const top = counts.reduce((most, one) => Math.max(most, one), 1);
  const facts = [
    count !== undefined && `${compact(count)} values`,
    mean !== undefined && mean !== null && `mean ${figure(mean)}`,
    std !== undefined && std !== null && `± ${figure(std)}`,
    not_finite ? `${compact(not_finite)} not finite` : false,
  ].filter(Boolean);
  return (
    <div class="media-histogram">
      <svg class="histogram" viewBox="0 0 100 60" preserveAspectRatio="none" role="img" aria-label={`${props.label}: ${facts.join(", ")}`}>
        {counts.map((one, at) => {
          const height = one === 0 ? 0 : Math.max(0.6, (one / top) * 60);
          const x = ((edges[at]! - low) / range) * 100;
          const width = (((edges[at + 1] ?? high) - edges[at]!) / range) * 100;
          return <rect x={x} y={60 - height} width={Math.max(width * 0.92, 0.3)} height={height} />;
        })}
      </svg>
      <p class="media-axis faint number">
        <span>{figure(min ?? low)}</span>
        <span>{figure(max ?? high)}</span>
      </p>
      <p class="faint number">{facts.join(" · ")}</p>
    </div>
  );
}
