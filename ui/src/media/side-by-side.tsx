/** The same media of several runs side by side, at the same step. */
import type { MediaKey, Run } from "../api-types";
import { pathOf } from "../api/client";
import { useResource } from "../api/resource";
import { Empty } from "../design/page";
import { plural } from "../text/format";
import { MediaCard } from "./card";
import { allSteps, inOrder, stepAt, Stepped, useChosen } from "./steps";
import "./media.css";

const MOST_RUNS = 6;
const MOST_KEYS = 20;

export function SideBySide(props: { runs: readonly Run[]; nameOf: (run: Run) => string }) {
  const runs = props.runs.slice(0, MOST_RUNS);
  // the runs of a comparison stay the same for as long as it is shown
  const media = runs.map((run) => useResource<MediaKey[]>(`/runs/${pathOf(run.id)}/media`).data);
  const chosen = useChosen();
  if (media.some((one) => one === null)) return <p class="quiet">…</p>;
  const ids = [...new Set(inOrder(media.flatMap((keys) => keys!)).map((one) => `${one.kind} ${one.key}`))];
  const of = (at: number, id: string) => media[at]!.find((one) => `${one.kind} ${one.key}` === id);
  const shared = ids.map((id) => ({ id, count: runs.filter((_, at) => of(at, id)).length })).sort((a, b) => b.count - a.count);
  if (ids.length === 0) return <Empty title="No media">None of these runs logged pictures, sound, tables or the like.</Empty>;
  const steps = allSteps(media.flatMap((keys) => keys!.map((one) => one.steps)));
  return (
    <Stepped steps={steps} chosen={chosen}>
      {shared.slice(0, MOST_KEYS).map(({ id }) => (
        <section key={id} class="media-row" aria-label={id}>
          <h2>{id.slice(id.indexOf(" ") + 1)}</h2>
          <div class="media-beside">
            {runs.map((run, at) => {
              const found = of(at, id);
              return found ? (
                <MediaCard key={run.id} run={run.id} of={found} step={stepAt(steps, chosen)} title={props.nameOf(run)} />
              ) : (
                <p key={run.id} class="card media-none quiet">
                  {props.nameOf(run)} logged none.
                </p>
              );
            })}
          </div>
        </section>
      ))}
      {shared.length > MOST_KEYS && <p class="quiet">and {plural(shared.length - MOST_KEYS, "more key")}.</p>}
      {props.runs.length > MOST_RUNS && <p class="quiet">The first {MOST_RUNS} of {plural(props.runs.length, "run")} are shown.</p>}
    </Stepped>
  );
}
