/** Runs as lines: those found by a search in columns of choice, or those within a run, folded. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { Run } from "../api-types";
import { pathOf } from "../api/client";
import { State } from "../design/badge";
import { Icon } from "../design/icon";
import { glyphOf } from "../design/kinds";
import { RowLink, Table } from "../design/table";
import { shortId } from "../nav/refs";
import { duration, figure, inline, plural } from "../text/format";
import { Time } from "../text/time";
import { flatParams, grammarOf, idOf, type RunField } from "./run-fields";
import "./runs.css";

/** How many metrics get a column of their own, and how many parameters are told in a row. */
const METRICS = 3;
const PARAMS = 3;

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
          show: (line) => (
            <Name run={line.run} isWithin={line.isWithin}>
              {line.within.length > 0 && (
                <button
                  type="button"
                  class="fold"
                  aria-expanded={open.value.has(line.run.id)}
                  onClick={() => toggle(line.run.id)}
                >
                  <Icon name="chevron" size={12} />
                  {plural(line.within.length, line.within[0]!.kind)}
                </button>
              )}
            </Name>
          ),
        },
        { title: "Status", show: ({ run }) => <State of={run.status} /> },
        { title: "Parameters", extra: true, show: ({ run }) => <Params of={run} /> },
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

interface FoundRunsProps {
  runs: readonly Run[];
  columns: readonly RunField[];
  /** The order in the search grammar, as in `metrics.auc DESC`. */
  order: string;
  setOrder: (order: string) => void;
  chosen: ReadonlySet<string>;
  choose: (id: string) => void;
}

/** What a search found; a click on a title orders by it, first the largest or newest. */
export function FoundRuns(props: FoundRunsProps) {
  const [ordered, direction] = [props.order.replace(/ (ASC|DESC)$/i, ""), / ASC$/i.test(props.order) ? "ASC" : "DESC"];
  const title = (field: RunField) => {
    const grammar = grammarOf(field.key === "took" ? { part: "attribute", key: "ended_at" } : field);
    const isOrder = ordered === grammar && props.order !== "";
    const next = isOrder && direction === "DESC" ? "ASC" : "DESC";
    return (
      <button type="button" class="order" aria-pressed={isOrder} onClick={() => props.setOrder(`${grammar} ${next}`)}>
        {titleOf(field)}
        {isOrder && <span aria-label={direction === "ASC" ? "ascending" : "descending"}>{direction === "ASC" ? "↑" : "↓"}</span>}
      </button>
    );
  };
  return (
    <Table
      label="Runs"
      rows={props.runs}
      id={(run) => run.id}
      marked={(run) => props.chosen.has(run.id)}
      columns={[
        {
          title: "",
          show: (run) => (
            <input
              type="checkbox"
              class="choose"
              aria-label={`Choose ${run.name || shortId(run.id)}`}
              checked={props.chosen.has(run.id)}
              onChange={() => props.choose(run.id)}
            />
          ),
        },
        { title: "Name", wide: true, show: (run) => <Name run={run} isWithin={false} /> },
        ...props.columns.map((field, place) => ({
          title: idOf(field),
          head: title(field),
          numeric: field.part === "metric" || ["took", "started_at"].includes(field.key),
          extra: place > 0,
          show: (run: Run) => cell(run, field),
        })),
      ]}
    />
  );
}

function titleOf(field: RunField): string {
  if (field.part !== "attribute") return field.key;
  const words = field.key.replace("_at", "");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function cell(run: Run, field: RunField): ComponentChildren {
  if (field.part === "metric") return lastOf(run, field.key);
  if (field.part === "param") return inline(flatParams(run.params)[field.key]);
  if (field.part === "tag") return run.tags[field.key] ?? <span class="faint">–</span>;
  if (field.key === "status") return <State of={run.status} />;
  if (field.key === "took") return took(run);
  if (field.key === "started_at") return <Time at={run.started_at} />;
  if (field.key === "user") return inline(run.environment["user"]);
  if (field.key === "id") return <span class="mono">{shortId(run.id)}</span>;
  return inline((run as unknown as Record<string, unknown>)[field.key]);
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

function Name(props: { run: Run; isWithin: boolean; children?: ComponentChildren }) {
  const { run } = props;
  return (
    <span class={`run-name${props.isWithin ? " run-within" : ""}`}>
      <KindMark kind={run.kind} />
      <span>
        <RowLink href={`/runs/${pathOf(run.id)}`}>{run.name || shortId(run.id)}</RowLink>
        <span class="run-about">
          {run.kind} {run.name && <span class="mono faint">{shortId(run.id)}</span>}
          {props.children}
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
  const words = Object.entries(flatParams(props.of.params)).map(([name, value]) => `${name} ${inline(value)}`);
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
