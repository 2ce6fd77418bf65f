/** The history of a pipeline as a grid: a column for each run, a row for each step. */
import type { GridCell, PipelineHistory, PipelineRunRow } from "../api-types";
import { compact, absolute, duration } from "../text/format";
import { extentOf, runHref, Sign, signOf, toneOf, wordOf } from "./pipeline-words";

const STATUSES = ["finished", "reused", "running", "waiting", "skipped", "failed"];

export function secondsOf(run: PipelineRunRow): number {
  return Math.max(0, ((run.ended_at ? Date.parse(run.ended_at) : Date.now()) - Date.parse(run.started_at)) / 1000);
}

export function tookOf(run: PipelineRunRow): string {
  return run.ended_at === null ? "not ended" : duration(secondsOf(run));
}

export function Grid(props: { of: PipelineHistory }) {
  const { runs, steps } = props.of;
  const longest = Math.max(...runs.filter((run) => run.ended_at !== null).map(secondsOf), 0.001);
  return (
    <>
      <div class="table-scroll" tabIndex={0} role="region" aria-label="Runs by step">
        <table class="history">
          <thead>
            <tr>
              <th scope="col">
                <span class="faint">newest first</span>
              </th>
              {runs.map((run) => (
                <th key={run.id} scope="col">
                  <RunBar run={run} share={Math.min(1, secondsOf(run) / longest)} />
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {steps.map((row) => (
              <tr key={row.step}>
                <th scope="row" title={row.step}>
                  {row.step}
                </th>
                {row.cells.map((cell, at) => (
                  <td key={runs[at]!.id}>{cell && <Cell of={cell} step={row.step} run={runs[at]!} />}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Key />
    </>
  );
}

/** What the signs mean. */
export function Key() {
  return (
    <p class="key faint">
      {STATUSES.map((status) => (
        <span key={status}>
          <Sign of={status} /> {wordOf(status)}
        </span>
      ))}
    </p>
  );
}

function RunBar(props: { run: PipelineRunRow; share: number }) {
  const { run } = props;
  const words = `${absolute(run.started_at)}: ${run.status}, took ${tookOf(run)}${run.error ? `: ${run.error}` : ""}`;
  return (
    <a class={`run-bar ${toneOf(run.status)}`} href={runHref(run.name, run.id)} title={words} aria-label={words}>
      <i style={{ height: `${Math.max(8, props.share * 100)}%` }} />
      {signOf(run.status)}
    </a>
  );
}

function Cell(props: { of: GridCell; step: string; run: PipelineRunRow }) {
  const { status, calls, node, duration_s, reason } = props.of;
  const extent = extentOf(calls, duration_s);
  const words = `${props.step}: ${wordOf(status)}${extent && `, ${extent}`}${reason && `\n${reason}`}`;
  return (
    <a class={`grid-cell ${toneOf(status)}`} href={runHref(props.run.name, props.run.id, node)} title={words} aria-label={words}>
      {signOf(status)}
      {calls > 1 && <small>{compact(calls)}</small>}
    </a>
  );
}
