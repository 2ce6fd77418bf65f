/** All pipelines: how each went of late, and what starts by itself. */
import type { PipelineList, PipelineRow, PipelineRunRow } from "../api-types";
import { Show, useResource } from "../api/resource";
import { State } from "../design/badge";
import { Code } from "../design/code";
import { Card, Empty, Page } from "../design/page";
import { RowLink, Table } from "../design/table";
import { plural } from "../text/format";
import { Time } from "../text/time";
import { tookOf } from "./pipeline-grid";
import { Schedules } from "./pipeline-schedules";
import { pipelineHref, runHref, signOf, toneOf } from "./pipeline-words";
import "./pipelines.css";

const CHANGES = ["run.", "pipeline.", "trigger."];

export function Pipelines() {
  const list = useResource<PipelineList>("/pipelines", CHANGES);
  return (
    <Page title="Pipelines">
      <Show of={list}>{(found) => <Body of={found} />}</Show>
    </Page>
  );
}

function Body(props: { of: PipelineList }) {
  const { pipelines, schedules } = props.of;
  const others = schedules.filter((one) => one.pipeline === "");
  const own = schedules.filter((one) => one.pipeline !== "");
  return (
    <div class="stack">
      <Card flush>
        {pipelines.length === 0 ? (
          <Empty title="No pipeline has run">
            <p>A pipeline is a function marked with @pipeline in a file of yours. Run it, and it stands here.</p>
            <Code text="interlock pipeline run train.py:nightly" />
          </Empty>
        ) : (
          <Rows of={pipelines} />
        )}
      </Card>
      {(pipelines.length > 0 || own.length > 0) && (
        <Card title="Schedules of pipelines" flush>
          {own.length === 0 ? (
            <Empty title="No pipeline starts by itself">
              <Code text="interlock pipeline schedule train.py:nightly --cron '0 4 * * *'" />
            </Empty>
          ) : (
            <Schedules of={own} label="Schedules of pipelines" withTarget />
          )}
        </Card>
      )}
      {others.length > 0 && (
        <Card title="Other triggers" flush>
          <Schedules of={others} label="Other triggers" withTarget />
        </Card>
      )}
    </div>
  );
}

function Rows(props: { of: readonly PipelineRow[] }) {
  return (
    <Table
      label="Pipelines"
      rows={props.of}
      id={(one) => one.name}
      columns={[
        { title: "Pipeline", wide: true, show: (one) => <RowLink href={pipelineHref(one.name)}>{one.name}</RowLink> },
        { title: "Last run", show: ({ recent }) => recent[0] && <State of={recent[0].status} /> },
        { title: "Started", show: ({ recent }) => recent[0] && <Time at={recent[0].started_at} /> },
        { title: "Took", numeric: true, extra: true, show: ({ recent }) => recent[0] && tookOf(recent[0]) },
        { title: "Of late, newest first", extra: true, show: (one) => <Strip of={one.recent} /> },
        { title: "Starts by itself", extra: true, show: (one) => one.schedules.join(", ") || "–" },
      ]}
    />
  );
}

function Strip(props: { of: readonly PipelineRunRow[] }) {
  return (
    <span class="strip" aria-label={`The newest ${plural(props.of.length, "run")}`}>
      {props.of.map((run) => (
        <a key={run.id} class={`grid-cell ref ${toneOf(run.status)}`} href={runHref(run.name, run.id)} title={`${run.status}, took ${tookOf(run)}`} aria-label={run.status}>
          {signOf(run.status)}
        </a>
      ))}
    </span>
  );
}
