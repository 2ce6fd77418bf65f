/** A gate's checks as a forest plot: each figure with its interval, and the line it was held against. */
import type { GateCheck } from "../api-types";
import { figure, fixed } from "../text/format";

export interface Span {
  low: number;
  high: number;
}

export type IntervalCheck = GateCheck & Span & { value: number };

/** Figures further apart than this many of their intervals are of different sorts (a level, a gain): no common scale. */
const APART = 12;

export function Forest(props: { checks: readonly GateCheck[] }) {
  const spans = spansOf(props.checks);
  return (
    <ul class="forest">
      {props.checks.map((check) => (
        <li key={check.name} class={check.passed ? "passed" : "refused"}>
          <span class="forest-name" title={check.detail}>
            {check.name}
          </span>
          {isInterval(check) && <IntervalPlot check={check} span={spans.get(check)!} />}
          <span class="forest-figure number">
            {check.low === null || check.high === null ? (
              figure(check.value)
            ) : (
              <>
                {fixed(check.value, 4)}{" "}
                <span class="faint">
                  [{fixed(check.low, 4)}, {fixed(check.high, 4)}]
                </span>
              </>
            )}
          </span>
          <span class="forest-verdict">{check.passed ? "passed" : "failed"}</span>
        </li>
      ))}
    </ul>
  );
}

/** One figure with its interval on a scale; the dashes are the line it was held against. */
export function IntervalPlot(props: { check: IntervalCheck; span: Span }) {
  const { low, high, value, threshold } = props.check;
  const at = (value: number) => `${((value - props.span.low) / (props.span.high - props.span.low)) * 100}%`;
  return (
    <svg class="forest-plot" height="24" role="img" aria-label={props.check.detail || props.check.name}>
      <line class="forest-axis" x1="0" x2="100%" y1="12" y2="12" />
      {threshold !== null && <line class="forest-threshold" x1={at(threshold)} x2={at(threshold)} y1="1" y2="23" />}
      <line class="forest-interval" x1={at(low)} x2={at(high)} y1="12" y2="12" />
      <circle class="forest-value" cx={at(value)} cy="12" r="4.5" />
    </svg>
  );
}

export function isInterval(check: GateCheck): check is IntervalCheck {
  return check.low !== null && check.high !== null && check.value !== null;
}

/** The scale of each check: one for all that can be compared with each other. */
export function spansOf(checks: readonly GateCheck[]): ReadonlyMap<GateCheck, Span> {
  const groups: { span: Span; widest: number; checks: IntervalCheck[] }[] = [];
  for (const check of checks.filter(isInterval).sort((a, b) => a.value - b.value)) {
    const span = { low: Math.min(check.low, check.threshold ?? check.low), high: Math.max(check.high, check.threshold ?? check.high) };
    const widest = check.high - check.low;
    const last = groups.at(-1);
    if (last !== undefined && span.low - last.span.high <= APART * Math.max(last.widest, widest)) {
      last.span = { low: Math.min(last.span.low, span.low), high: Math.max(last.span.high, span.high) };
      last.widest = Math.max(last.widest, widest);
      last.checks.push(check);
    } else groups.push({ span, widest, checks: [check] });
  }
  return new Map(groups.flatMap(({ span, checks: held }) => held.map((check) => [check, withAir(span)] as const)));
}

function withAir({ low, high }: Span): Span {
  const air = (high - low || Math.abs(high) || 1) * 0.08;
  return { low: low - air, high: high + air };
}
