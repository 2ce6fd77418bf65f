/** Charts the size of a word: a histogram, a sparkline, a bar of shares. */
import type { Deployment } from "../api-types";
import { RefLink } from "../design/ref-link";
import { shortRef } from "../nav/refs";
import { percent } from "../text/format";

export function Histogram(props: { counts: readonly number[]; label: string }) {
  const top = Math.max(1, ...props.counts);
  const width = 100 / props.counts.length;
  return (
    <svg class="histogram" viewBox="0 0 100 28" preserveAspectRatio="none" role="img" aria-label={props.label}>
      {props.counts.map((count, at) => {
        const height = count === 0 ? 0 : Math.max(1, (count / top) * 28);
        return <rect x={at * width} y={28 - height} width={Math.max(width - 0.8, 0.6)} height={height} />;
      })}
    </svg>
  );
}

/** The last values of a figure, with the level it is held against. */
export function Sparkline(props: { values: readonly number[]; threshold: number; label: string }) {
  const all = [...props.values, props.threshold];
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const x = (at: number) => 2 + (at / Math.max(1, props.values.length - 1)) * 96;
  const y = (value: number) => 33 - ((value - low) / (high - low || 1)) * 30;
  const last = props.values.length - 1;
  return (
    <div class="sparkline" role="img" aria-label={props.label}>
      <svg viewBox="0 0 100 36" preserveAspectRatio="none">
        <line class="sparkline-threshold" x1="0" x2="100" y1={y(props.threshold)} y2={y(props.threshold)} />
        <polyline points={props.values.map((value, at) => `${x(at)},${y(value)}`).join(" ")} />
      </svg>
      {last >= 0 && <i style={{ left: `${x(last)}%`, top: `${(y(props.values[last]!) / 36) * 100}%` }} />}
    </div>
  );
}

/** Which version answers which part of the traffic; shadows answer none and stand in the key only. */
export function ShareBar(props: { deployments: readonly Deployment[]; compact?: boolean }) {
  const answering = props.deployments.filter((one) => one.role !== "shadow");
  const name = (one: Deployment) => `${shortRef(one.model)} ${one.role}`;
  return (
    <div class={`shares${props.compact ? " shares-compact" : ""}`}>
      <div class="shares-bar" role="img" aria-label={answering.map((one) => `${name(one)} ${percent(one.share)}`).join(", ")}>
        {answering.map((one) => (
          <span key={one.model} class={`share share-${one.role}`} style={{ flexGrow: one.share }} title={name(one)} />
        ))}
      </div>
      {!props.compact && (
        <ul class="shares-key">
          {props.deployments.map((one) => (
            <li key={one.model}>
              <i class={`share share-${one.role}`} /> <RefLink to={one.model} />{" "}
              <span class="quiet">
                {one.role}
                {one.role === "shadow" ? ", answers none" : ` ${percent(one.share)}`}
              </span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
