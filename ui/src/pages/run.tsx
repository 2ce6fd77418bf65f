/** One run: what went in, what came out, the code it ran. */
import { useState } from "preact/hooks";
import type { Run, RunDetail } from "../api-types";
import { pathOf } from "../api/client";
import { Show, useResource } from "../api/resource";
import { Badge, State } from "../design/badge";
import { Failure } from "../design/failure";
import { Card, Empty, Facts, Page } from "../design/page";
import { RefText, RefTools } from "../design/ref-link";
import { type Tab, Tabs } from "../design/tabs";
import { Gallery } from "../media/gallery";
import { shortId } from "../nav/refs";
import { inline } from "../text/format";
import { Time } from "../text/time";
import { OUTCOMES, Outcomes } from "./outcomes";
import { CodeState } from "./run-code";
import { Console, CONSOLE } from "./run-console";
import { Environment } from "./run-environment";
import { flatParams } from "./run-fields";
import { Files } from "./run-files";
import { RunLineage } from "./run-lineage";
import { isOfMachine, Metrics } from "./run-metrics";
import { NOTE, Notes } from "./run-notes";
import { KindMark, RunTable, took } from "./run-table";
import { Nearby } from "./steps";
import "./run.css";

/** Tags that clients write for themselves are told with the parameters, not at the head of the page. */
const OF_CLIENTS = /^mlflow\./;

export function RunPage(props: { name: string }) {
  const [isRunning, setRunning] = useState(false);
  const detail = useResource<RunDetail>(`/runs/${pathOf(props.name)}`, ["run."], isRunning);
  const run = detail.data?.run;
  if (run && (run.status === "running") !== isRunning) setRunning(run.status === "running");
  return (
    <Page
      title={run?.name || shortId(props.name)}
      above={<a href="/runs">Runs</a>}
      about={run && <About run={run} />}
      aside={
        <>
          {run?.kind === "pipeline" && (
            <a class="button" href={`/pipelines/${pathOf(run.name)}/runs/${pathOf(run.id)}`}>
              Graph
            </a>
          )}
          <RefTools of={`run:${props.name}`} />
        </>
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
      {Object.entries(run.tags).filter(([name]) => !OF_CLIENTS.test(name)).map(([name, value]) => (
        <Badge key={name}>
          {name}
          {value && <RefText text={`: ${value}`} />}
        </Badge>
      ))}
    </>
  );
}

function Body(props: { detail: RunDetail }) {
  const { run, children, artifacts, files, has_media } = props.detail;
  const isRunning = run.status === "running";
  const printed = artifacts.find((artifact) => artifact.path === CONSOLE);
  const tabs: (Tab | false)[] = [
    { id: "overview", title: "Overview", show: () => <Overview detail={props.detail} /> },
    children.length > 0 && {
      id: "children",
      title: "Children",
      count: children.length,
      show: () => (
        <Card flush>
          <RunTable runs={children} label="Runs within this one" />
        </Card>
      ),
    },
    (has_media || isRunning) && { id: "media", title: "Media", show: () => <Gallery run={run.id} isRunning={isRunning} /> },
    { id: "artifacts", title: "Artifacts", count: files.files, show: () => <Files detail={props.detail} /> },
    { id: "code", title: "Code", show: () => <CodeState detail={props.detail} /> },
    { id: "environment", title: "Environment", show: () => <Environment detail={props.detail} /> },
    { id: "lineage", title: "Lineage", show: () => <RunLineage of={`run:${run.id}`} /> },
    printed !== undefined && { id: "console", title: "Console", show: () => <Console of={printed} isRunning={isRunning} /> },
    { id: "notes", title: "Notes", show: () => <Notes run={run} /> },
  ];
  return (
    <div class="stack">
      {run.error && <Failure class="problem" text={run.error} heading="h2" />}
      <Tabs tabs={tabs.filter((tab) => tab !== false)} />
    </div>
  );
}

function Overview(props: { detail: RunDetail }) {
  const { run, artifacts } = props.detail;
  const params = flat(run.params);
  const tags = Object.entries(run.tags).filter(([name]) => OF_CLIENTS.test(name) && name !== NOTE);
  const outcomes = artifacts.find((artifact) => artifact.path === OUTCOMES);
  const hasMetrics = Object.keys(run.metrics).some((key) => !isOfMachine(key));
  return (
    <div class="columns">
      <div class="stack">
        {outcomes && <Outcomes of={outcomes} />}
        {!hasMetrics && !outcomes && <Empty title="No metrics">{run.status === "running" ? "Nothing is measured yet." : "This run measured nothing."}</Empty>}
        <Metrics run={run} />
        <Nearby of={`run:${run.id}`} />
      </div>
      <div class="stack">
        <Card title="Parameters">{params.length === 0 ? <p class="quiet">None.</p> : <Facts of={params} />}</Card>
        {tags.length > 0 && (
          <Card title="Said by its client">
            <Facts of={tags} />
          </Card>
        )}
      </div>
    </div>
  );
}

/** Nested values as `a.b` and what stands there. */
function flat(values: Record<string, unknown>): [string, string][] {
  return Object.entries(flatParams(values)).map(([name, value]) => [name, inline(value)]);
}
