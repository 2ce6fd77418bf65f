/** Runs side by side: what differs, their curves over each other, and how parameters lead to a metric. */
import { useSignal } from "@preact/signals";
import type { Comparison, Difference, Run, Series } from "../api-types";
import { pathOf } from "../api/client";
import { Show, useResource } from "../api/resource";
import { LineChart } from "../charts/line-chart";
import { Parallel } from "../charts/parallel";
import { Scatter } from "../charts/scatter";
import { Code } from "../design/code";
import { Card, Empty, Page } from "../design/page";
import { Table } from "../design/table";
import { Tabs } from "../design/tabs";
import { SideBySide } from "../media/side-by-side";
import { shortId } from "../nav/refs";
import { query } from "../nav/router";
import { inline, plural } from "../text/format";
import { flatParams } from "./run-fields";
import "./compare.css";
import "./runs.css";

/** Colours of lines that lie over each other, told apart also by those who see fewer colours. */
const INKS = ["series-1", "series-2", "series-3", "series-4", "series-5", "series-6"];
const MOST_CURVES = 12;
const MANY: Record<string, string> = {
  param: "params",
  metric: "metrics",
  library: "libraries",
  tag: "tags",
  code: "facts of the code",
  environment: "facts of the environment",
};

export function ComparePage() {
  const ids = (query.value.get("runs") ?? "").split(",").filter(Boolean);
  const found = useResource<Comparison>(ids.length > 1 ? `/runs/compare?runs=${ids.map(pathOf).join(",")}` : null);
  return (
    <Page title="Compare" above={<a href="/runs">Runs</a>} about={<span>{plural(ids.length, "run")}</span>}>
      {ids.length < 2 ? (
        <Empty title="Choose what to compare">
          <a href="/runs">Choose two or more runs</a>
        </Empty>
      ) : (
        <Show of={found}>{(comparison) => <Body of={comparison} />}</Show>
      )}
    </Page>
  );
}

function Body(props: { of: Comparison }) {
  const { runs, differences } = props.of;
  return (
    <div class="stack">
      <Legend runs={runs} />
      <Tabs
        tabs={[
          { id: "differences", title: "Differences", count: differences.length, show: () => <Differences of={props.of} /> },
          { id: "curves", title: "Curves", show: () => <Curves runs={runs} /> },
          { id: "media", title: "Media", show: () => <SideBySide key={runs.map((run) => run.id).join()} runs={runs} nameOf={nameOf} /> },
          { id: "params", title: "Parameters", show: () => <Relations runs={runs} /> },
        ]}
      />
    </div>
  );
}

function nameOf(run: Run): string {
  return run.name || shortId(run.id);
}

function Legend(props: { runs: readonly Run[] }) {
  return (
    <ul class="compare-legend">
      {props.runs.map((run, place) => (
        <li key={run.id}>
          <i style={{ background: `var(--${INKS[place % INKS.length]})` }} aria-hidden="true" />
          <a href={`/runs/${pathOf(run.id)}`}>{nameOf(run)}</a>
          <span class="faint mono">{shortId(run.id)}</span>
        </li>
      ))}
    </ul>
  );
}

function Differences(props: { of: Comparison }) {
  const { runs, differences, words, same, code_diff } = props.of;
  const equal = Object.entries(same).map(([part, count]) => `${count} ${count === 1 ? part : (MANY[part] ?? part)}`);
  return (
    <div class="stack">
      {runs.length === 2 && (
        <Card title="In words">
          <ul class="compare-words">
            {words.map((word) => (
              <li key={word}>{word}</li>
            ))}
          </ul>
        </Card>
      )}
      {differences.length > 0 && (
        <Card flush>
          <Table
            label="Differences"
            rows={differences}
            id={(one) => `${one.part}:${one.name}`}
            columns={[
              { title: "Part", show: (one: Difference) => <span class="quiet">{one.part}</span> },
              { title: "Name", show: (one: Difference) => one.name },
              ...runs.map((run, place) => ({
                title: nameOf(run) + " ".repeat(place),
                show: (one: Difference) => <span class="compare-value">{inline(one.values[place])}</span>,
              })),
            ]}
          />
        </Card>
      )}
      {equal.length > 0 && <p class="quiet">The same in all: {equal.join(", ")}.</p>}
      {code_diff && (
        <Card title="Uncommitted changes">
          <Code text={code_diff} diff />
        </Card>
      )}
    </div>
  );
}

function Curves(props: { runs: readonly Run[] }) {
  const counts = new Map<string, number>();
  for (const run of props.runs)
    for (const metric of Object.values(run.metrics)) if (metric.count > 1) counts.set(metric.key, (counts.get(metric.key) ?? 0) + 1);
  const keys = [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).map(([key]) => key);
  if (keys.length === 0) return <Empty title="No curves">None of these runs logged a metric more than once.</Empty>;
  return (
    <div class="stack">
      {keys.slice(0, MOST_CURVES).map((key) => (
        <Card key={key} title={key}>
          <Overlay metric={key} runs={props.runs} />
        </Card>
      ))}
      {keys.length > MOST_CURVES && <p class="quiet">and {plural(keys.length - MOST_CURVES, "more metric")}.</p>}
    </div>
  );
}

/** The curves of one metric over each other, on the steps of all of them. */
function Overlay(props: { metric: string; runs: readonly Run[] }) {
  const having = props.runs.filter((run) => (run.metrics[props.metric]?.count ?? 0) > 1);
  return <Overlaid key={having.map((run) => run.id).join()} metric={props.metric} runs={having} all={props.runs} />;
}

function Overlaid(props: { metric: string; runs: readonly Run[]; all: readonly Run[] }) {
  const series = props.runs.map(
    (run) => useResource<Series>(`/runs/${pathOf(run.id)}/metrics/${pathOf(props.metric)}?points=500`).data,
  );
  if (series.some((one) => one === null)) return <p class="quiet">…</p>;
  const steps = [...new Set(series.flatMap((one) => one!.steps))].sort((a, b) => a - b);
  const lines = props.runs.map((run, place) => {
    const known = new Map(series[place]!.steps.map((step, at) => [step, series[place]!.values[at] ?? null]));
    return {
      label: nameOf(run),
      values: steps.map((step) => known.get(step) ?? null),
      ink: INKS[props.all.indexOf(run) % INKS.length]!,
    };
  });
  return <LineChart label={`${props.metric} by step, of ${plural(lines.length, "run")}`} x={steps} lines={lines} gaps />;
}

function Relations(props: { runs: readonly Run[] }) {
  const metrics = [...new Set(props.runs.flatMap((run) => Object.keys(run.metrics)))].sort();
  const metric = useSignal(metrics[0] ?? "");
  const params = props.runs.map((run) => flatParams(run.params));
  const varying = [...new Set(params.flatMap((one) => Object.keys(one)))].filter(
    (key) => new Set(params.map((one) => JSON.stringify(one[key] ?? null))).size > 1,
  );
  const against = useSignal(varying[0] ?? "");
  if (metrics.length === 0 || varying.length === 0)
    return <Empty title="Nothing to relate">The parameters of these runs are all the same, or there is no metric.</Empty>;
  const colour = (place: number) => `var(--${INKS[place % INKS.length]})`;
  return (
    <div class="stack">
      <label class="check">
        metric
        <select class="input" value={metric.value} onChange={(change) => (metric.value = change.currentTarget.value)}>
          {metrics.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      <Card title="All parameters that vary">
        <Parallel
          axes={[...varying, metric.value]}
          lines={props.runs.map((run, place) => ({
            label: nameOf(run),
            colour: colour(place),
            values: [...varying.map((key) => params[place]![key] ?? null), run.metrics[metric.value]?.last ?? null],
          }))}
        />
      </Card>
      <Card
        title={`${metric.value} against`}
        aside={
          <select
            class="input"
            aria-label="parameter"
            value={against.value}
            onChange={(change) => (against.value = change.currentTarget.value)}
          >
            {varying.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        }
      >
        <Scatter
          label={`${metric.value} against ${against.value}`}
          points={props.runs.map((run, place) => ({
            label: nameOf(run),
            colour: colour(place),
            x: params[place]![against.value] ?? null,
            y: run.metrics[metric.value]?.last ?? null,
          }))}
        />
      </Card>
    </div>
  );
}
