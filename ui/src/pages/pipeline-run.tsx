/** One run of a pipeline: its graph, live while it runs, and the step call that is open. */
import { useSignal } from "@preact/signals";
import type { DrawnNode, PipelineGraph } from "../api-types";
import { pathOf } from "../api/client";
import { Show } from "../api/resource";
import { State } from "../design/badge";
import { Code } from "../design/code";
import { Card, Empty, Page } from "../design/page";
import { RefTools } from "../design/ref-link";
import { query, setQuery } from "../nav/router";
import { shortId } from "../nav/refs";
import { plural } from "../text/format";
import { Time } from "../text/time";
import { CallPanel } from "./pipeline-call";
import { StepGraph } from "./pipeline-graph";
import { Key, tookOf } from "./pipeline-grid";
import { useGraph } from "./pipeline-live";
import { pipelineHref, runHref, Sign, wordOf } from "./pipeline-words";
import "./pipelines.css";

export function PipelineRunPage(props: { name: string; run: string }) {
  const apart = query.value.get("apart") === "yes";
  const graph = useGraph(props.run, apart);
  return (
    <Page
      title={`${props.name} ${shortId(props.run)}`}
      above={
        <>
          <a href="/pipelines">Pipelines</a> / <a href={pipelineHref(props.name)}>{props.name}</a>
        </>
      }
      about={graph.data && <About of={graph.data} />}
      aside={
        <>
          <a class="button" href={`/runs/${pathOf(props.run)}`}>
            Record
          </a>
          <RefTools of={`run:${props.run}`} />
        </>
      }
    >
      <Show of={graph}>{(found) => <Body graph={found} apart={apart} />}</Show>
    </Page>
  );
}

function About(props: { of: PipelineGraph }) {
  const { run, statuses } = props.of;
  return (
    <>
      <State of={run.status} />
      <span>
        <Time at={run.started_at} />
        {run.ended_at && `, took ${tookOf(run)}`}
      </span>
      {Object.entries(statuses).map(([status, count]) => (
        <span key={status} class="number">
          <Sign of={status} /> {count} {wordOf(status)}
        </span>
      ))}
      {run.resumes && (
        <a class="ref" href={runHref(run.name, run.resumes)}>
          goes on with {shortId(run.resumes)}
        </a>
      )}
    </>
  );
}

function Body(props: { graph: PipelineGraph; apart: boolean }) {
  const { graph } = props;
  const wanted = useSignal("");
  const open = query.value.get("node");
  const node = open !== null && /^\d+$/.test(open) ? Number(open) : null;
  const chosen = node === null ? null : nodeOf(graph.nodes, query.value.get("in"), node);
  const choose = (one: DrawnNode) => setQuery({ node: String(one.node), in: String(one.id) });
  const isBundled = graph.nodes.some((one) => one.calls > 1);
  return (
    <div class="stack">
      {graph.run.error && (
        <section class="problem" aria-label="Why it failed">
          <h2>{graph.run.error}</h2>
        </section>
      )}
      <div class={`steps-page${node === null ? "" : " steps-open"}`}>
        <Card
          title="Steps"
          aside={
            <span class="steps-options">
              <input class="input" type="search" aria-label="Find a step" placeholder="Find a step" value={wanted.value} onInput={(change) => (wanted.value = change.currentTarget.value)} />
              {(isBundled || props.apart) && (
                <label class="check">
                  <input type="checkbox" checked={props.apart} onChange={(change) => setQuery({ apart: change.currentTarget.checked ? "yes" : "", in: "" })} />
                  each call apart
                </label>
              )}
            </span>
          }
        >
          {graph.nodes.length === 0 ? (
            <Empty title={graph.run.status === "running" ? "No step is called yet" : "It called no step"}>
              {graph.run.status === "running" ? "Steps stand here as soon as the pipeline calls them." : "What it did is in its record."}
            </Empty>
          ) : (
            <StepGraph graph={graph} chosen={chosen} wanted={wanted.value.trim()} onChoose={choose}>
              <p class="faint number">
                {plural(graph.calls, "call")}
                {graph.nodes.length < graph.calls && `, equal ones drawn together as ${plural(graph.nodes.length, "node")}`}
              </p>
              <Key />
            </StepGraph>
          )}
        </Card>
        {node !== null && <CallPanel run={graph.run.id} node={node} status={statusOf(graph, chosen)} isRunning={graph.run.status === "running"} />}
      </div>
      <WhatNow of={graph} />
    </div>
  );
}

/** The drawn node that a call belongs to; the address says it once one was chosen in the picture. */
function nodeOf(nodes: readonly DrawnNode[], drawn: string | null, node: number): number | null {
  const own = nodes.find((one) => String(one.id) === drawn) ?? nodes.find((one) => one.id === node || one.node === node);
  return own?.id ?? null;
}

function statusOf(graph: PipelineGraph, chosen: number | null): string {
  const drawn = graph.nodes.find((one) => one.id === chosen);
  return drawn === undefined ? "" : JSON.stringify(drawn.statuses);
}

/** What can be done with a run; the commands to copy, since whoever reads this page may not run pipelines. */
function WhatNow(props: { of: PipelineGraph }) {
  const { run } = props.of;
  if (run.status === "finished") return null;
  return run.status === "running" ? (
    <Code label="Stop it; what has finished is kept" text={`interlock pipeline cancel run:${run.id}`} />
  ) : (
    <Code label="Go on where it stood" text={`interlock pipeline resume run:${run.id}`} />
  );
}
