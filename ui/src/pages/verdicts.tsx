/** What was said of each version on its way: at the gate, in the shadow, as canary; all together, then one by one. */
import type { GateCheck, Verdict } from "../api-types";
import { Forest, IntervalPlot, isInterval, spansOf } from "../charts/forest";
import { State } from "../design/badge";
import { Card, Empty } from "../design/page";
import { RefLink } from "../design/ref-link";
import { shortRef, traceHref } from "../nav/refs";
import { fixed } from "../text/format";
import { Time } from "../text/time";
import "./verdicts.css";

const STAGES = ["gate", "shadow", "canary"];

/** The verdicts on one candidate, by stage. */
interface Candidate {
  ref: string;
  newest: Verdict;
  stages: ReadonlyMap<string, Verdict>;
}

export function Verdicts(props: { of: readonly Verdict[] }) {
  if (props.of.length === 0)
    return (
      <Empty title="No verdicts yet">
        The gate compares a candidate with the champion on held-back data, overall and slice by slice, before it may answer.
      </Empty>
    );
  const candidates = candidatesOf(props.of);
  return (
    <div class="stack">
      {candidates.length > 1 && <Board of={candidates} />}
      {candidates.map((candidate, at) => (
        <CandidateCard key={candidate.ref} of={candidate} isOpen={at === 0} />
      ))}
    </div>
  );
}

/** Newest candidate first, as the verdicts come. */
function candidatesOf(verdicts: readonly Verdict[]): Candidate[] {
  const found = new Map<string, Verdict[]>();
  for (const verdict of verdicts) found.set(verdict.candidate, [...(found.get(verdict.candidate) ?? []), verdict]);
  return [...found].map(([ref, own]) => ({
    ref,
    newest: own[0]!,
    // A stage that was judged again: its newest verdict counts.
    stages: new Map([...own].reverse().map((verdict) => [verdict.stage, verdict])),
  }));
}

function stagesOf(candidates: readonly Candidate[]): string[] {
  const all = new Set(candidates.flatMap((one) => [...one.stages.keys()]));
  return [...STAGES.filter((stage) => all.delete(stage)), ...all];
}

/** The check that a verdict comes down to: the gain over what is live, else the first figure with an interval. */
function mainCheck(verdict: Verdict | undefined): GateCheck | undefined {
  const checks = verdict?.checks ?? [];
  return checks.find((check) => /\bgain over\b/.test(check.name)) ?? checks.find(isInterval);
}

/** Every candidate on a line, every stage in a column with one scale for all. */
function Board(props: { of: readonly Candidate[] }) {
  const stages = stagesOf(props.of);
  const columns = stages.map((stage) => {
    const checks = props.of.map((candidate) => mainCheck(candidate.stages.get(stage)));
    const names = checks.map((check) => check?.name).filter((name) => name !== undefined);
    return { stage, checks, spans: spansOf(checks.filter((check) => check !== undefined)), about: mostCommon(names) };
  });
  return (
    <Card title="All candidates" aside="interval: 95 % · dashes: the line it was held against">
      <div class="table-scroll" tabIndex={0} role="region" aria-label="All candidates, stage by stage">
        <table class="board">
          <thead>
            <tr>
              <th scope="col">Version</th>
              {columns.map(({ stage, about }) => (
                <th key={stage} scope="col">
                  {stage} <span class="faint">{about.replace(`${stage}: `, "")}</span>
                </th>
              ))}
              <th scope="col" />
            </tr>
          </thead>
          <tbody>
            {props.of.map((candidate, at) => (
              <tr key={candidate.ref}>
                <th scope="row">
                  <a class="ref" href={`#${idOf(candidate)}`} onClick={() => openCard(candidate)}>
                    {shortRef(candidate.ref)}
                  </a>
                </th>
                {columns.map(({ stage, checks, spans }) => (
                  <td key={stage}>
                    <Cell check={checks[at]} spans={spans} />
                  </td>
                ))}
                <td title={candidate.newest.reason}>
                  <State of={candidate.newest.passed ? "passed" : "refused"} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

function Cell(props: { check: GateCheck | undefined; spans: ReturnType<typeof spansOf> }) {
  const { check, spans } = props;
  if (check === undefined) return <span class="faint">–</span>;
  const span = spans.get(check);
  return (
    <div class={`board-cell ${check.passed ? "passed" : "refused"}`} title={check.detail}>
      {isInterval(check) && span && <IntervalPlot check={check} span={span} />}
      <span class="number">{signed(check)}</span>
    </div>
  );
}

/** A gain with its sign, a level without one. */
function signed(check: GateCheck): string {
  const isGain = /\bgain\b/.test(check.name);
  return `${isGain && (check.value ?? 0) > 0 ? "+" : ""}${fixed(check.value, isGain ? 4 : 3)}`;
}

function mostCommon(names: readonly string[]): string {
  const count = (name: string) => names.filter((one) => one === name).length;
  return [...new Set(names)].sort((a, b) => count(b) - count(a))[0] ?? "";
}

function idOf(candidate: Candidate): string {
  return `of-${shortRef(candidate.ref)}`;
}

/** A link to a folded card opens it. */
function openCard(candidate: Candidate): void {
  document.getElementById(idOf(candidate))?.setAttribute("open", "");
}

function CandidateCard(props: { of: Candidate; isOpen: boolean }) {
  const { newest, stages, ref } = props.of;
  return (
    <details class="card candidate" id={idOf(props.of)} open={props.isOpen}>
      <summary>
        <h2>
          {shortRef(ref)} <span class="quiet">against {newest.champion === null ? "nothing" : shortRef(newest.champion)}</span>
        </h2>
        <span class="card-aside">
          {stagesOf([props.of]).map((stage) => (
            <span key={stage}>
              {stage} <State of={stages.get(stage)!.passed ? "passed" : "refused"} />
            </span>
          ))}
        </span>
      </summary>
      <div class="card-body stack">
        {stagesOf([props.of]).map((stage) => (
          <StageVerdict key={stage} of={stages.get(stage)!} />
        ))}
      </div>
    </details>
  );
}

function StageVerdict(props: { of: Verdict }) {
  const verdict = props.of;
  return (
    <section>
      <header class="verdict-head">
        <h3>{verdict.stage}</h3>
        <p class="quiet">
          {verdict.reason}
          {verdict.data && (
            <>
              {" "}
              of <RefLink to={verdict.data} />
            </>
          )}
        </p>
        <a class="ref faint" href={traceHref(`verdict:${verdict.id}`)}>
          <Time at={verdict.created_at} />
        </a>
      </header>
      <Forest checks={verdict.checks} />
    </section>
  );
}
