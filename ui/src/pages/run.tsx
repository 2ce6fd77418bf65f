/** One run: what went in, what came out, the code it ran. */
import type { ArtifactEntry, MetricSummary, Run, RunDetail, Series } from "../api-types";
import { pathOf } from "../api/client";
import { download } from "../api/download";
import { Show, useResource, useText } from "../api/resource";
import { LineChart } from "../charts/line-chart";
import { Badge, State } from "../design/badge";
import { Code } from "../design/code";
import { Card, Empty, Facts, Page } from "../design/page";
import { RefText, RefTools } from "../design/ref-link";
import { Table } from "../design/table";
import { Tabs } from "../design/tabs";
import { shortId } from "../nav/refs";
import { bytes, figure, inline } from "../text/format";
import { Time } from "../text/time";
import { OUTCOMES, Outcomes } from "./outcomes";
import { KindMark, RunTable, took } from "./run-table";
import { Nearby } from "./steps";

const DIFF = "code/uncommitted.diff";
const SHOWN_BYTES = 1 << 20;

export function RunPage(props: { name: string }) {
  const detail = useResource<RunDetail>(`/runs/${pathOf(props.name)}`, ["run."]);
  const run = detail.data?.run;
  return (
    <Page
      title={run?.name || shortId(props.name)}
      above={<a href="/runs">Runs</a>}
      about={run && <About run={run} />}
      aside={<RefTools of={`run:${props.name}`} />}
    >
      <Show of={detail}>{(found) => <Body detail={found} />}</Show>
    </Page>
  );
}

function About(props: { run: Run }) {
  const { run } = props;
  return (
    <>
      <span class="run-name">
        <KindMark kind={run.kind} />
        {run.kind}
      </span>
      <State of={run.status} />
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
        <Badge key={name}>
          {name}
          {value && <RefText text={`: ${value}`} />}
        </Badge>
      ))}
    </>
  );
}

function Body(props: { detail: RunDetail }) {
  const { run, children, artifacts } = props.detail;
  const tabs = [
    { id: "overview", title: "Overview", show: () => <Overview detail={props.detail} /> },
    { id: "artifacts", title: "Artifacts", count: artifacts.length, show: () => <Artifacts of={artifacts} /> },
    { id: "code", title: "Code", show: () => <CodeState detail={props.detail} /> },
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
      {run.error && <Failure text={run.error} />}
      <Tabs tabs={tabs} />
    </div>
  );
}

/** Why a run failed: the last line of its traceback says it, the rest is there to be opened. */
function Failure(props: { text: string }) {
  const lines = props.text.trim().split("\n");
  return (
    <section class="problem" aria-label="Why it failed">
      <h2>{lines.at(-1)}</h2>
      {lines.length > 1 && (
        <details>
          <summary>Traceback</summary>
          <Code text={props.text} />
        </details>
      )}
    </section>
  );
}

function Overview(props: { detail: RunDetail }) {
  const { run, artifacts } = props.detail;
  const metrics = Object.values(run.metrics).sort((a, b) => a.key.localeCompare(b.key));
  const single = metrics.filter((metric) => metric.count === 1);
  const curves = metrics.filter((metric) => metric.count > 1);
  const params = flat(run.params);
  const outcomes = artifacts.find((artifact) => artifact.path === OUTCOMES);
  return (
    <div class="columns">
      <div class="stack">
        {outcomes && <Outcomes of={outcomes} />}
        {metrics.length === 0 && !outcomes && <Empty title="No metrics">This run measured nothing.</Empty>}
        {single.length > 0 && <Figures of={single} />}
        {curves.map((metric) => (
          <Curve key={metric.key} run={run} metric={metric} />
        ))}
        <Nearby of={`run:${run.id}`} />
      </div>
      <Card title="Parameters">{params.length === 0 ? <p class="quiet">None.</p> : <Facts of={params} />}</Card>
    </div>
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

function Artifacts(props: { of: readonly ArtifactEntry[] }) {
  if (props.of.length === 0) return <Empty title="No artifacts">This run kept no files.</Empty>;
  return (
    <Card flush>
      <Table
        label="Artifacts"
        rows={props.of}
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
    </Card>
  );
}

function CodeState(props: { detail: RunDetail }) {
  const { run, artifacts } = props.detail;
  const libraries = Object.entries(run.libraries).sort();
  const diff = artifacts.find((artifact) => artifact.path === DIFF);
  return (
    <div class="columns">
      <div class="stack">
        <Card title="Code">
          {Object.keys(run.code).length === 0 ? <p class="quiet">Not recorded.</p> : <Facts of={flat(run.code)} />}
        </Card>
        <Card title="Uncommitted changes">
          {diff ? <Diff of={diff} /> : <p class="quiet">{noDiff(run)}</p>}
        </Card>
        {Object.keys(run.environment).length > 0 && (
          <Card title="Environment">
            <Facts of={flat(run.environment)} />
          </Card>
        )}
      </div>
      <Card title="Libraries" aside={libraries.length}>
        {libraries.length === 0 ? <p class="quiet">Not recorded.</p> : <Facts of={libraries} />}
      </Card>
    </div>
  );
}

function Diff(props: { of: ArtifactEntry }) {
  if (props.of.size_bytes > SHOWN_BYTES)
    return <p class="quiet">{bytes(props.of.size_bytes)}, too long to show: it can be saved from the artifacts.</p>;
  return <DiffText of={props.of} />;
}

function DiffText(props: { of: ArtifactEntry }) {
  return <Show of={useText(props.of)}>{(text) => <Code text={text} diff />}</Show>;
}

function noDiff(run: Run): string {
  if (!run.code["commit"]) return "Not known: there was no commit to compare with.";
  if (run.code["dirty"] !== true) return "None: the commit is all there was.";
  return run.parent === null ? "Only new files, which are named above." : "There were some: the run it is part of keeps them.";
}

/** Nested values as `a.b` and what stands there. */
function flat(values: Record<string, unknown>, prefix = ""): [string, string][] {
  return Object.entries(values).flatMap(([name, value]): [string, string][] =>
    value !== null && typeof value === "object" && !Array.isArray(value)
      ? flat(value as Record<string, unknown>, `${prefix}${name}.`)
      : [[prefix + name, inline(value)]],
  );
}
