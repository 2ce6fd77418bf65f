/** One run: what went in, what came out, the code it ran. */
import type { MetricSummary, Run, RunDetail, Series } from "../api-types";
import { pathOf } from "../api/client";
import { download } from "../api/download";
import { Show, useResource } from "../api/resource";
import { LineChart } from "../charts/line-chart";
import { Badge, State } from "../design/badge";
import { Code } from "../design/code";
import { Card, Empty, Facts, Page } from "../design/page";
import { Table } from "../design/table";
import { Tabs } from "../design/tabs";
import { lineageHref, shortId } from "../nav/refs";
import { bytes, figure, inline } from "../text/format";
import { Time } from "../text/time";
import { RunTable, took } from "./runs";

export function RunPage(props: { name: string }) {
  const detail = useResource<RunDetail>(`/runs/${pathOf(props.name)}`, ["run."]);
  const run = detail.data?.run;
  return (
    <Page
      title={run?.name || shortId(props.name)}
      above={<a href="/runs">Runs</a>}
      about={run && <About run={run} />}
      aside={
        <a class="button" href={lineageHref(`run:${props.name}`)}>
          Lineage
        </a>
      }
    >
      <Show of={detail}>{(found) => <Body detail={found} />}</Show>
    </Page>
  );
}

function About(props: { run: Run }) {
  const { run } = props;
  return (
    <>
      <State of={run.status} />
      <span>{run.kind}</span>
      <a class="ref" href={`/runs?experiment=${encodeURIComponent(run.experiment)}`}>
        {run.experiment}
      </a>
      <span>
        <Time at={run.started_at} />
        {run.ended_at && `, took ${took(run)}`}
      </span>
      {run.parent && (
        <a class="ref" href={`/runs/${pathOf(run.parent)}`}>
          part of {shortId(run.parent)}
        </a>
      )}
      {Object.entries(run.tags).map(([name, value]) => (
        <Badge key={name}>{value === "" ? name : `${name}: ${value}`}</Badge>
      ))}
    </>
  );
}

function Body(props: { detail: RunDetail }) {
  const { run, children, artifacts, diff } = props.detail;
  const tabs = [
    { id: "overview", title: "Overview", show: () => <Overview run={run} /> },
    {
      id: "artifacts",
      title: "Artifacts",
      count: artifacts.length,
      show: () => (
        <Card flush>
          {artifacts.length === 0 ? (
            <Empty title="No artifacts">This run kept no files.</Empty>
          ) : (
            <Table
              label="Artifacts"
              rows={artifacts}
              id={(artifact) => artifact.path}
              columns={[
                {
                  title: "Path",
                  wide: true,
                  show: ({ path, digest }) => (
                    <button
                      type="button"
                      class="link mono"
                      title="Download"
                      onClick={() => void download(digest, path.slice(path.lastIndexOf("/") + 1))}
                    >
                      {path}
                    </button>
                  ),
                },
                { title: "Size", numeric: true, show: (artifact) => bytes(artifact.size_bytes) },
                { title: "Digest", extra: true, show: (artifact) => <span class="mono faint">{artifact.digest.slice(0, 16)}</span> },
              ]}
            />
          )}
        </Card>
      ),
    },
    { id: "code", title: "Code", show: () => <CodeState run={run} diff={diff} /> },
  ];
  if (children.length > 0)
    tabs.splice(1, 0, {
      id: "children",
      title: "Children",
      count: children.length,
      show: () => (
        <Card flush>
          <RunTable runs={children} label="Runs within this one" />
        </Card>
      ),
    });
  return (
    <div class="stack">
      {run.error && <Code text={run.error} label="Why it failed" />}
      <Tabs tabs={tabs} />
    </div>
  );
}

function Overview(props: { run: Run }) {
  const { run } = props;
  const metrics = Object.values(run.metrics).sort((a, b) => a.key.localeCompare(b.key));
  const single = metrics.filter((metric) => metric.count === 1);
  const curves = metrics.filter((metric) => metric.count > 1);
  const params = flat(run.params);
  return (
    <div class="columns">
      <div class="stack">
        {metrics.length === 0 ? (
          <Empty title="No metrics">This run measured nothing.</Empty>
        ) : (
          <div class="grid">
            {single.length > 0 && (
              <Card title="Figures">
                <Facts of={single.map((metric) => [metric.key, <strong class="number">{figure(metric.last)}</strong>])} />
              </Card>
            )}
            {curves.map((metric) => (
              <Curve key={metric.key} run={run} metric={metric} />
            ))}
          </div>
        )}
      </div>
      <Card title="Parameters">{params.length === 0 ? <p class="quiet">None.</p> : <Facts of={params} />}</Card>
    </div>
  );
}

function Curve(props: { run: Run; metric: MetricSummary }) {
  const { run, metric } = props;
  const path = `/runs/${pathOf(run.id)}/metrics/${pathOf(metric.key)}`;
  const series = useResource<Series>(path, run.status === "running" ? ["run."] : []).data;
  return (
    <Card title={metric.key} aside={<strong class="metric-value number">{figure(metric.last)}</strong>}>
      {series && (
        <LineChart
          label={`${metric.key} by step: from ${figure(metric.first)} to ${figure(metric.last)}`}
          x={series.steps}
          lines={[{ label: metric.key, values: series.values, ink: "model" }]}
          height={180}
        />
      )}
      <p class="faint number">
        {figure(metric.count)} values, {figure(metric.min)} to {figure(metric.max)}
      </p>
    </Card>
  );
}

function CodeState(props: { run: Run; diff: string | null }) {
  const { run, diff } = props;
  return (
    <div class="columns">
      <div class="stack">
        <Card title="Code">
          {Object.keys(run.code).length === 0 ? <p class="quiet">Not recorded.</p> : <Facts of={flat(run.code)} />}
        </Card>
        <Card title="Uncommitted changes">
          {diff ? <Code text={diff} diff /> : <p class="quiet">None: the commit is all there was.</p>}
        </Card>
        <Card title="Environment">
          <Facts of={flat(run.environment)} />
        </Card>
      </div>
      <Card title="Libraries" aside={Object.keys(run.libraries).length}>
        <Facts of={Object.entries(run.libraries).sort()} />
      </Card>
    </div>
  );
}

/** Nested values as `a.b` and what stands there. */
function flat(values: Record<string, unknown>, prefix = ""): [string, string][] {
  return Object.entries(values).flatMap(([name, value]): [string, string][] =>
    value !== null && typeof value === "object" && !Array.isArray(value)
      ? flat(value as Record<string, unknown>, `${prefix}${name}.`)
      : [[prefix + name, inline(value)]],
  );
}
