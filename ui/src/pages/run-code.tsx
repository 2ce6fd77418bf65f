/** The code a run ran: commit, uncommitted changes, command line. */
import type { ComponentChildren } from "preact";
import type { ArtifactEntry, Run, RunDetail } from "../api-types";
import { Show, useText } from "../api/resource";
import { Code } from "../design/code";
import { Diff } from "../design/diff";
import { Card, Facts } from "../design/page";
import { bytes, figure, inline } from "../text/format";
import { flatParams } from "./run-fields";

const DIFF = "code/uncommitted.diff";
const SHOWN_BYTES = 1 << 20;
const MANY = 5;

export function CodeState(props: { detail: RunDetail }) {
  const { run, artifacts } = props.detail;
  const diff = artifacts.find((artifact) => artifact.path === DIFF);
  const argv = run.environment["argv"];
  const facts = Object.entries(flatParams(run.code)).map(([name, value]): [string, ComponentChildren] => [name, <Value of={value} />]);
  return (
    <div class="columns">
      <Card title="Uncommitted changes">{diff ? <Patch of={diff} /> : <p class="quiet">{noDiff(run)}</p>}</Card>
      <div class="stack run-first">
        <Card title="Code">{facts.length === 0 ? <p class="quiet">Not recorded.</p> : <Facts of={facts} />}</Card>
        {Array.isArray(argv) && argv.length > 0 && (
          <Card title="Command line">
            <Code text={argv.map((one) => quoted(String(one))).join(" ")} />
          </Card>
        )}
      </div>
    </div>
  );
}

/** A value, and of many those after the first behind a line that opens them. */
function Value(props: { of: unknown }) {
  const { of } = props;
  if (!Array.isArray(of) || of.length <= MANY) return <>{inline(of)}</>;
  return (
    <>
      {of.slice(0, MANY).join(", ")}
      <details>
        <summary>and {figure(of.length - MANY)} more</summary>
        {of.slice(MANY).join(", ")}
      </details>
    </>
  );
}

function Patch(props: { of: ArtifactEntry }) {
  if (props.of.size_bytes > SHOWN_BYTES)
    return <p class="quiet">{bytes(props.of.size_bytes)}, too long to show: it can be saved from the artifacts.</p>;
  return <PatchText of={props.of} />;
}

function PatchText(props: { of: ArtifactEntry }) {
  return <Show of={useText(props.of)}>{(text) => <Diff text={text} />}</Show>;
}

function noDiff(run: Run): string {
  if (!run.code["commit"]) return "Not known: there was no commit to compare with.";
  if (run.code["dirty"] !== true) return "None: the commit is all there was.";
  return run.parent === null ? "Only new files, which are named beside this." : "There were some: the run it is part of keeps them.";
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
