/** The metrics of a run: figures of those measured once, curves of the others, live while it runs. */
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { MetricSummary, Run, Series } from "../api-types";
import { pathOf } from "../api/client";
import { useResource } from "../api/resource";
import { LineChart } from "../charts/line-chart";
import { Card } from "../design/page";
import { useSeen } from "../media/seen";
import { figure, plural } from "../text/format";

const SHOWN = 24;
const MANY = 8;
const HEIGHT = 180;

/** What the machine used is told with the environment, not among what was trained for. */
export function isOfMachine(key: string): boolean {
  return key.startsWith("system/");
}

export function Metrics(props: { run: Run }) {
  const wanted = useSignal("");
  const metrics = Object.values(props.run.metrics)
    .filter((metric) => !isOfMachine(metric.key))
    .sort((a, b) => a.key.localeCompare(b.key));
  const found = metrics.filter((metric) => metric.key.toLowerCase().includes(wanted.value.trim().toLowerCase()));
  const single = found.filter((metric) => metric.count === 1);
  const curves = found.filter((metric) => metric.count > 1);
  return (
    <>
      {metrics.length > MANY && (
        <input
          class="input run-find"
          type="search"
          aria-label="Find a metric"
          placeholder={`Find among ${plural(metrics.length, "metric")}`}
          value={wanted.value}
          onInput={(change) => (wanted.value = change.currentTarget.value)}
        />
      )}
      {metrics.length > 0 && found.length === 0 && <p class="quiet">No metric is called that.</p>}
      {single.length > 0 && <Figures of={single} />}
      <Curves run={props.run} metrics={curves} />
    </>
  );
}

function Figures(props: { of: readonly MetricSummary[] }) {
  return (
    <Card>
      <dl class="answer">
        {props.of.map((metric) => (
          <div key={metric.key}>
            <dt>{metric.key}</dt>
            <dd class="number">{figure(metric.last)}</dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}

export function Curves(props: { run: Run; metrics: readonly MetricSummary[] }) {
  const shown = useSignal(SHOWN);
  const left = props.metrics.length - shown.value;
  if (props.metrics.length === 0) return null;
  return (
    <>
      <div class="run-curves">
        {props.metrics.slice(0, shown.value).map((metric) => (
          <Curve key={metric.key} run={props.run} metric={metric} />
        ))}
      </div>
      {left > 0 && (
        <button type="button" class="button run-find" onClick={() => (shown.value += SHOWN)}>
          Show {plural(Math.min(left, SHOWN), "more metric")}
        </button>
      )}
    </>
  );
}

function Curve(props: { run: Run; metric: MetricSummary }) {
  const { run, metric } = props;
  const place = useRef<HTMLDivElement>(null);
  const seen = useSeen(place);
  const path = seen ? `/runs/${pathOf(run.id)}/metrics/${pathOf(metric.key)}` : null;
  const series = useResource<Series>(path, [], run.status === "running").data;
  return (
    <Card title={metric.key} aside={<strong class="metric-value number">{figure(metric.last)}</strong>}>
      <div ref={place} style={{ minHeight: `${HEIGHT}px` }}>
        {series && (
          <LineChart
            label={`${metric.key} by step: from ${figure(metric.first)} to ${figure(metric.last)}`}
            x={series.steps}
            lines={[{ label: metric.key, values: series.values, ink: "model" }]}
            height={HEIGHT}
          />
        )}
      </div>
      <p class="faint number">
        {figure(metric.count)} values, {figure(metric.min)} to {figure(metric.max)}
      </p>
    </Card>
  );
}
