/** Runs, newest first, filtered by experiment, kind and status. */
import type { Run } from "../api-types";
import { pathOf } from "../api/client";
import { Show, useResource } from "../api/resource";
import { State } from "../design/badge";
import { Code } from "../design/code";
import { Card, Empty, Page } from "../design/page";
import { RowLink, Table } from "../design/table";
import { shortId } from "../nav/refs";
import { query, setQuery } from "../nav/router";
import { duration, figure } from "../text/format";
import { Time } from "../text/time";

const KINDS = ["training", "pipeline", "step", "study", "trial", "evaluation"];
const STATUSES = ["running", "finished", "failed", "killed"];
const FILTERS = ["experiment", "kind", "status"] as const;
const PAGE = 100;

export function Runs() {
  const asked = new URLSearchParams({ limit: String(PAGE) });
  for (const name of [...FILTERS, "before"]) {
    const value = query.value.get(name);
    if (value) asked.set(name, value);
  }
  const runs = useResource<Run[]>(`/runs?${asked}`, ["run."]);
  return (
    <Page title="Runs" aside={<Filters runs={runs.data ?? []} />}>
      <Show of={runs}>
        {(rows) =>
          rows.length === 0 ? (
            <NoRuns />
          ) : (
            <Card flush>
              <RunTable runs={rows} label="Runs" />
              <Older runs={rows} />
            </Card>
          )
        }
      </Show>
    </Page>
  );
}

export function RunTable(props: { runs: readonly Run[]; label: string }) {
  const metric = commonMetric(props.runs);
  return (
    <Table
      label={props.label}
      rows={props.runs}
      id={(run) => run.id}
      columns={[
        {
          title: "Name",
          wide: true,
          show: (run) => (
            <>
              <RowLink href={`/runs/${pathOf(run.id)}`}>{run.name || shortId(run.id)}</RowLink>{" "}
              <span class="faint mono">{run.name && shortId(run.id)}</span>
            </>
          ),
        },
        { title: "Status", show: (run) => <State of={run.status} /> },
        { title: "Kind", show: (run) => run.kind, extra: true },
        { title: "Experiment", show: (run) => run.experiment, extra: true },
        ...(metric === null
          ? []
          : [{ title: metric, numeric: true, show: (run: Run) => lastOf(run, metric) }]),
        { title: "Took", numeric: true, extra: true, show: (run) => took(run) },
        { title: "Started", numeric: true, show: (run) => <Time at={run.started_at} /> },
      ]}
    />
  );
}

export function took(run: Run): string {
  if (run.ended_at === null) return "–";
  return duration((Date.parse(run.ended_at) - Date.parse(run.started_at)) / 1000);
}

function lastOf(run: Run, metric: string): string {
  const summary = run.metrics[metric];
  return summary === undefined ? "–" : figure(summary.last);
}

/** The metric that most of the runs have; ties go to the first by name. */
function commonMetric(runs: readonly Run[]): string | null {
  const counts = new Map<string, number>();
  for (const run of runs) for (const key of Object.keys(run.metrics)) counts.set(key, (counts.get(key) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]))[0]?.[0] ?? null;
}

function Filters(props: { runs: readonly Run[] }) {
  const experiments = [...new Set(props.runs.map((run) => run.experiment))].sort();
  const options = { experiment: experiments, kind: KINDS, status: STATUSES };
  return (
    <div class="filters">
      {FILTERS.map((name) => {
        const chosen = query.value.get(name) ?? "";
        const all = chosen && !options[name].includes(chosen) ? [chosen, ...options[name]] : options[name];
        return (
          <label key={name}>
            {name}
            <select
              class="input"
              value={chosen}
              onChange={(change) => setQuery({ [name]: change.currentTarget.value, before: "" })}
            >
              <option value="">all</option>
              {all.map((value) => (
                <option key={value} value={value}>
                  {value}
                </option>
              ))}
            </select>
          </label>
        );
      })}
    </div>
  );
}

function Older(props: { runs: readonly Run[] }) {
  const last = props.runs.at(-1);
  const isFirst = !query.value.has("before");
  if (last === undefined || (props.runs.length < PAGE && isFirst)) return null;
  return (
    <div class="pager">
      {!isFirst && (
        <button type="button" class="button" onClick={() => setQuery({ before: "" })}>
          Newest
        </button>
      )}
      {props.runs.length === PAGE && (
        <button type="button" class="button" onClick={() => setQuery({ before: last.id })}>
          Older
        </button>
      )}
    </div>
  );
}

function NoRuns() {
  const filtered = FILTERS.some((name) => query.value.has(name));
  if (filtered)
    return (
      <Empty title="No run is like that">
        <button type="button" class="button" onClick={() => setQuery({ experiment: "", kind: "", status: "" })}>
          Show all runs
        </button>
      </Empty>
    );
  return (
    <Empty title="No runs yet">
      <p>Everything you train, tune or evaluate is recorded here, with its code and its libraries.</p>
      <Code text={'with il.run("first-steps") as run:\n    run.log_metrics({"auc": 0.7})'} />
    </Empty>
  );
}
