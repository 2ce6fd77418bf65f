/** One pipeline: its history as a grid, and what starts it; or one run of it. */
import { useSignal } from "@preact/signals";
import type { PipelineHistory } from "../api-types";
import { pathOf } from "../api/client";
import { Show, useResource } from "../api/resource";
import { Code } from "../design/code";
import { Card, Empty, Page } from "../design/page";
import { path } from "../nav/router";
import { plural } from "../text/format";
import { Time } from "../text/time";
import { Grid, tookOf } from "./pipeline-grid";
import { PipelineRunPage } from "./pipeline-run";
import { Schedules } from "./pipeline-schedules";
import { State } from "../design/badge";
import { runHref } from "./pipeline-words";
import "./pipelines.css";

const RUN = /^\/pipelines\/([^/]+)\/runs\/([^/]+)$/;

export function PipelinePage(props: { name: string }) {
  const run = RUN.exec(path.value);
  return run === null ? <History name={props.name} /> : <PipelineRunPage name={decodeURIComponent(run[1]!)} run={decodeURIComponent(run[2]!)} />;
}

function History(props: { name: string }) {
  const after = useSignal("");
  const query = after.value && `?after=${encodeURIComponent(after.value)}`;
  const history = useResource<PipelineHistory>(`/pipelines/${pathOf(props.name)}${query}`, ["run.", "pipeline.", "trigger."]);
  return (
    <Page title={props.name} above={<a href="/pipelines">Pipelines</a>} about={history.data && <About of={history.data} />}>
      <Show of={history}>
        {(found) => (
          <div class="stack">
            <Card title="Runs" aside={found.runs.length > 0 && `${plural(found.runs.length, "run")}, ${plural(found.steps.length, "step")}`}>
              {found.runs.length === 0 ? (
                <Empty title={after.value ? "No earlier run" : "It has not run yet"}>{!after.value && <p>It runs when one of its schedules is due.</p>}</Empty>
              ) : (
                <Grid of={found} />
              )}
              <p class="pager-links">
                {after.value && (
                  <button type="button" class="button" onClick={() => (after.value = "")}>
                    Newest runs
                  </button>
                )}
                {found.after && (
                  <button type="button" class="button" onClick={() => (after.value = found.after!)}>
                    Earlier runs
                  </button>
                )}
              </p>
            </Card>
            <Card title="Starts by itself" flush>
              {found.schedules.length === 0 ? (
                <Empty title="Only when it is asked to">
                  <Code text={`interlock pipeline schedule FILE.py:${props.name} --cron '0 4 * * *'`} />
                </Empty>
              ) : (
                <Schedules of={found.schedules} label="Schedules" />
              )}
            </Card>
          </div>
        )}
      </Show>
    </Page>
  );
}

function About(props: { of: PipelineHistory }) {
  const newest = props.of.runs[0];
  if (newest === undefined) return null;
  return (
    <>
      <State of={newest.status} />
      <a class="ref" href={runHref(newest.name, newest.id)}>
        last run
      </a>
      <span>
        <Time at={newest.started_at} />, took {tookOf(newest)}
      </span>
      <a class="ref" href={`/runs?experiment=${encodeURIComponent(newest.experiment)}`}>
        {newest.experiment}
      </a>
    </>
  );
}
