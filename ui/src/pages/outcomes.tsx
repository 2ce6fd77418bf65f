/** What became of each step of a pipeline's run: executed, or taken from an earlier run, and why. */
import type { ArtifactEntry } from "../api-types";
import { pathOf } from "../api/client";
import { artifactPath, Show, useResource } from "../api/resource";
import { State } from "../design/badge";
import { Card } from "../design/page";
import { RefText } from "../design/ref-link";
import { RowLink, Table } from "../design/table";
import { duration } from "../text/format";

/** Path of the artifact that holds the outcomes. */
export const OUTCOMES = "steps.json";

/** One line of `steps.json` (`interlock.pipelines.outcomes.StepOutcome`). */
interface StepOutcome {
  step: string;
  reused: boolean;
  reason: string;
  duration_s: number;
  run_id: string;
  error: string | null;
}

export function Outcomes(props: { of: ArtifactEntry }) {
  const outcomes = useResource<StepOutcome[]>(artifactPath(props.of));
  return (
    <Card title="Steps" aside={outcomes.data && summary(outcomes.data)} flush>
      <Show of={outcomes}>{(found) => <OutcomeTable of={found} />}</Show>
    </Card>
  );
}

function summary(outcomes: readonly StepOutcome[]): string {
  const reused = outcomes.filter((one) => one.reused).length;
  const saved = outcomes.reduce((sum, one) => sum + (one.reused ? one.duration_s : 0), 0);
  const words = [`${outcomes.length - reused} executed`, `${reused} reused`];
  return reused > 0 ? `${words.join(", ")}, which saved ${duration(saved)}` : words.join(", ");
}

function OutcomeTable(props: { of: readonly StepOutcome[] }) {
  return (
    <Table
      label="Steps of the pipeline"
      rows={props.of.map((outcome, at) => ({ ...outcome, at: at + 1 }))}
      id={(outcome) => String(outcome.at)}
      marked={(outcome) => outcome.error !== null}
      columns={[
        { title: "#", numeric: true, extra: true, show: (outcome) => <span class="faint">{outcome.at}</span> },
        {
          title: "Step",
          show: (outcome) =>
            outcome.run_id === "" ? (
              <strong>{outcome.step}</strong>
            ) : (
              <RowLink href={`/runs/${pathOf(outcome.run_id)}`}>{outcome.step}</RowLink>
            ),
        },
        { title: "Came about", show: (outcome) => <State of={stateOf(outcome)} /> },
        { title: "Why", wide: true, show: (outcome) => <Why of={outcome} /> },
        { title: "Took", numeric: true, extra: true, show: (outcome) => (outcome.run_id === "" ? "–" : duration(outcome.duration_s)) },
      ]}
    />
  );
}

function stateOf(outcome: StepOutcome): string {
  if (outcome.run_id === "") return "not run";
  if (outcome.error !== null) return "failed";
  return outcome.reused ? "reused" : "executed";
}

/** The state says `reused` and `re-ran` already; names of code and inputs stand between backticks, runs by their id. */
function Why(props: { of: StepOutcome }) {
  const text = props.of.error ?? props.of.reason.replace(/^(reused|re-ran): /, "");
  const parts = text.replace(/\brun ([0-9A-Z]{26})\b/g, "run:$1").split("`");
  return <span class="why">{parts.map((part, at) => (at % 2 === 1 ? <code>{part}</code> : <RefText text={part} />))}</span>;
}
