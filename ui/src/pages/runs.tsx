/** Runs, newest first, filtered by experiment, kind and status; steps and trials are folded into what contains them. */
import { useSignal } from "@preact/signals";
import type { Run } from "../api-types";
import { pathOf } from "../api/client";
import { Show, useResource } from "../api/resource";
import { State } from "../design/badge";
import { Code } from "../design/code";
import { Icon } from "../design/icon";
import { glyphOf } from "../design/kinds";
import { Card, Empty, Page } from "../design/page";
import { RowLink, Table } from "../design/table";
import { shortId } from "../nav/refs";
import { query, setQuery } from "../nav/router";
import { duration, figure, inline, plural } from "../text/format";
import { Time } from "../text/time";
import "./runs.css";

const KINDS = ["training", "pipeline", "step", "study", "trial", "evaluation"];
const STATUSES = ["running", "finished", "failed", "killed"];
const FILTERS = ["experiment", "kind", "status"] as const;
const PAGE = 100;
/** How many metrics get a column of their own, and how many parameters are told in a row. */
const METRICS = 3;
const PARAMS = 3;

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

/** One line of the table: a run, the runs within it that are in the list too, and whether it stands within one. */
interface Line {
  run: Run;
  within: readonly Run[];
  isWithin: boolean;
}

export function RunTable(props: { runs: readonly Run[]; label: string }) {
  const open = useSignal<ReadonlySet<string>>(new Set());
  const toggle = (id: string) => {
    const next = new Set(open.value);
    if (!next.delete(id)) next.add(id);
    open.value = next;
  };
  const lines = linesOf(props.runs, open.value);
  const metrics = commonMetrics(lines.map((line) => line.run));
  return (
    <Table
      label={props.label}
      rows={lines}
      id={({ run }) => run.id}
      columns={[
        {
          title: "Name",
          wide: true,
          show: (line) => <Name of={line} isOpen={open.value.has(line.run.id)} toggle={() => toggle(line.run.id)} />,
        },
        { title: "Status", show: ({ run }) => <State of={run.status} /> },
        { title: "Parameters", extra: true, show: ({ run }) => <Params of={run} /> },
        { title: "Experiment", show: ({ run }) => run.experiment, extra: true },
        ...metrics.map((metric) => ({
          title: metric,
          numeric: true,
          extra: true,
          show: ({ run }: Line) => lastOf(run, metric),
        })),
        { title: "Took", numeric: true, extra: true, show: ({ run }) => took(run) },
        { title: "Started", numeric: true, extra: true, show: ({ run }) => <Time at={run.started_at} /> },
      ]}
    />
  );
}

/** The runs in order, each with those within it after it if it is open; they stand alone where what contains them is not listed. */
function linesOf(runs: readonly Run[], open: ReadonlySet<string>): Line[] {
  const listed = new Set(runs.map((run) => run.id));
  const isWithin = (run: Run) => run.parent !== null && listed.has(run.parent);
  const within = new Map<string, Run[]>();
  for (const run of runs) if (isWithin(run)) within.set(run.parent!, [run, ...(within.get(run.parent!) ?? [])]);
  const lines = (run: Run): Line[] => {
    const inner = within.get(run.id) ?? [];
    return [{ run, within: inner, isWithin: isWithin(run) }, ...(open.has(run.id) ? inner.flatMap(lines) : [])];
  };
  return runs.filter((run) => !isWithin(run)).flatMap(lines);
}

function Name(props: { of: Line; isOpen: boolean; toggle: () => void }) {
  const { run, within, isWithin } = props.of;
  return (
    <span class={`run-name${isWithin ? " run-within" : ""}`}>
      <KindMark kind={run.kind} />
      <span>
        <RowLink href={`/runs/${pathOf(run.id)}`}>{run.name || shortId(run.id)}</RowLink>
        <span class="run-about">
          {run.kind} {run.name && <span class="mono faint">{shortId(run.id)}</span>}
          {within.length > 0 && (
            <button type="button" class="fold" aria-expanded={props.isOpen} onClick={props.toggle}>
              <Icon name="chevron" size={12} />
              {plural(within.length, within[0]!.kind)}
            </button>
          )}
        </span>
      </span>
    </span>
  );
}

/** The glyph of a kind of run in a circle; what is part of something larger is drawn lighter. */
export function KindMark(props: { kind: string }) {
  return (
    <span class={`kind-mark kind-${props.kind}`}>
      <Icon name={glyphOf(props.kind)} size={16} />
    </span>
  );
}

function Params(props: { of: Run }) {
  const params = Object.entries(props.of.params);
  const words = params.map(([name, value]) => `${name} ${inline(value)}`);
  return (
    <span class="run-params quiet" title={words.join("\n")}>
      {words.slice(0, PARAMS).join(" · ")}
    </span>
  );
}

export function took(run: Run): string {
  if (run.ended_at === null) return "–";
  return duration((Date.parse(run.ended_at) - Date.parse(run.started_at)) / 1000);
}

function lastOf(run: Run, metric: string) {
  const summary = run.metrics[metric];
  return summary === undefined ? <span class="faint">–</span> : figure(summary.last);
}

/** The metrics that most of the runs have; ties go to the first by name. */
function commonMetrics(runs: readonly Run[]): string[] {
  const counts = new Map<string, number>();
  for (const run of runs) for (const key of Object.keys(run.metrics)) counts.set(key, (counts.get(key) ?? 0) + 1);
  const sorted = [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
  return sorted.slice(0, METRICS).map(([key]) => key);
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
