/** One step call: why it ran, what it was given, what it gave, what it printed. */
import type { CallSource, OutputPreview, StepCall } from "../api-types";
import { pathOf } from "../api/client";
import { Show, useResource } from "../api/resource";
import { Code } from "../design/code";
import { Failure } from "../design/failure";
import { Facts } from "../design/page";
import { RefLink } from "../design/ref-link";
import { Rows } from "../media/file-table";
import { lineageHref } from "../nav/refs";
import { setQuery } from "../nav/router";
import { bytes, duration, figure, plural } from "../text/format";
import { Markdown } from "../text/markdown";
import { Time } from "../text/time";
import { Sign, Why, wordOf } from "./pipeline-words";

interface PanelProps {
  run: string;
  node: number;
  /** Changes whenever the call may have. */
  status: string;
  isRunning: boolean;
}

export function CallPanel(props: PanelProps) {
  return (
    <aside class="card call" aria-label="Step call">
      <button type="button" class="button call-close" onClick={() => setQuery({ node: "", in: "" })}>
        Close
      </button>
      {/* What was read last stays in sight until it is read again. */}
      <Loaded key={`${props.node} ${props.status}`} run={props.run} node={props.node} isRunning={props.isRunning} />
    </aside>
  );
}

function Loaded(props: { run: string; node: number; isRunning: boolean }) {
  const call = useResource<StepCall>(`/pipelines/runs/${pathOf(props.run)}/calls/${props.node}`, [], props.isRunning);
  return <Show of={call}>{(found) => <Body of={found} pipelineRun={props.run} />}</Show>;
}

function Body(props: { of: StepCall; pipelineRun: string }) {
  const call = props.of;
  return (
    <>
      <header>
        <h2>
          <Sign of={call.status} /> {call.step}
        </h2>
        <p class="quiet">
          {call.group && <span class="mono">{call.group} </span>}
          {wordOf(call.status)}
          {call.duration_s >= 0.0005 && (call.status === "reused" ? `, saved ${duration(call.duration_s)}` : `, ${duration(call.duration_s)}`)}
          {call.started_at > 0 && (
            <>
              , <Time at={new Date(call.started_at * 1000).toISOString()} />
            </>
          )}
        </p>
        {call.run && (
          <p class="call-links">
            <RefLink to={`run:${call.run}`} withKind />
            <a class="ref" href={lineageHref(`run:${call.run}`)}>
              lineage
            </a>
          </p>
        )}
      </header>
      {call.reason && (
        <section aria-label="Why">
          <h3>Why</h3>
          <p>
            <Why text={call.reason} />
          </p>
        </section>
      )}
      {call.error && <Failure class="call-error" heading="h3" text={call.error} />}
      {call.doubts.length > 0 && (
        <section>
          <h3>Another run may give something else</h3>
          <ul>
            {call.doubts.map((doubt) => (
              <li key={doubt}>{doubt}</li>
            ))}
          </ul>
        </section>
      )}
      <section aria-label="Inputs">
        <h3>Inputs</h3>
        {call.arguments.length === 0 && call.sources.length === 0 && <p class="quiet">None.</p>}
        {call.arguments.length > 0 && <Facts of={call.arguments.map((one) => [one.name, one.text === "" ? <span class="faint">from another step</span> : <code>{one.text}</code>])} />}
        {call.sources.map((source) => (
          <Source key={source.node} of={source} />
        ))}
        {call.source_count > call.sources.length && <p class="quiet">and the outputs of {plural(call.source_count - call.sources.length, "more call")}</p>}
      </section>
      <section aria-label="Output">
        <h3>Output</h3>
        {call.output === null ? <p class="quiet">{call.status === "running" || call.status === "waiting" ? "None yet." : "None."}</p> : <Preview of={call.output} label="output" />}
      </section>
      {call.models.map((model) => (
        <section key={model.ref} aria-label={model.ref}>
          <h3>
            Model <RefLink to={model.ref} />
          </h3>
          {model.card ? <Markdown text={model.card} /> : <p class="quiet">It has no card.</p>}
        </section>
      ))}
      <section aria-label="Log">
        <h3>Log</h3>
        {call.log === "" ? <p class="quiet">{call.status === "running" ? "It has printed nothing yet." : "It printed nothing."}</p> : <Code text={call.log} />}
        {!call.is_log_whole && <p class="quiet">The end of it; all of it is in the run’s record.</p>}
      </section>
      {call.alike_count > 1 && <Alike of={call} />}
      {call.run && call.status !== "reused" && <Code label="Run this call again under a debugger" text={`interlock pipeline debug ${call.step} --run run:${props.pipelineRun}`} />}
    </>
  );
}

function Source(props: { of: CallSource }) {
  const { node, step, status, output } = props.of;
  return (
    <details>
      <summary>
        <Sign of={status} /> output of{" "}
        <button type="button" class="link" onClick={() => setQuery({ node: String(node), in: "" })}>
          {step}
        </button>
        {output && <span class="faint"> {inShort(output)}</span>}
      </summary>
      {output === null ? <p class="quiet">It is not there yet.</p> : <Preview of={output} label={`output of ${step}`} />}
    </details>
  );
}

function inShort(output: OutputPreview): string {
  if (output.kind === "table") return `table ${figure(output.total_rows ?? 0)} × ${output.columns.length}`;
  if (output.kind === "text" && output.text.length < 40) return output.text;
  return output.form;
}

function Preview(props: { of: OutputPreview; label: string }) {
  const { kind, text, picture, parts, why, refs, form, size_bytes, columns, rows, total_rows } = props.of;
  return (
    <div class="preview">
      {kind === "table" && <Rows of={props.of} label={props.label} start={0} />}
      {picture && <img src={picture} alt={text || props.label} />}
      {kind === "picture" && text && <p class="quiet">{text}</p>}
      {kind === "text" && <Code text={text} />}
      {kind === "fields" && Object.entries(parts).map(([name, part]) => (
        <div key={name}>
          <h4 class="mono">{name}</h4>
          <Preview of={part} label={name} />
        </div>
      ))}
      {refs.length > 0 && kind !== "fields" && (
        <p>
          {refs.map((ref) => (
            <>
              <RefLink key={ref} to={ref} withKind />{" "}
            </>
          ))}
        </p>
      )}
      {why && <p class="quiet">{why.charAt(0).toUpperCase() + why.slice(1)}.</p>}
      {kind !== "fields" && (
        <p class="faint number">
          {kind === "table" && `${rows.length < (total_rows ?? 0) ? `first ${rows.length} of ${figure(total_rows ?? 0)} rows` : plural(rows.length, "row")}, ${plural(columns.length, "column")} · `}
          {form} · {bytes(size_bytes)}
        </p>
      )}
    </div>
  );
}

/** The calls that are drawn as one with this one, those that failed first. */
function Alike(props: { of: StepCall }) {
  const { alike, alike_count, node } = props.of;
  return (
    <section aria-label="Calls drawn together">
      <h3>{plural(alike_count, "call")} of this step</h3>
      <ol class="alike">
        {alike.map((one) => (
          <li key={one.node}>
            <button type="button" class="link" aria-current={one.node === node} onClick={() => setQuery({ node: String(one.node) })} title={one.reason}>
              <Sign of={one.status} /> {one.node}
            </button>
          </li>
        ))}
      </ol>
      {alike.length < alike_count && <p class="quiet">and {plural(alike_count - alike.length, "more call")}</p>}
    </section>
  );
}
