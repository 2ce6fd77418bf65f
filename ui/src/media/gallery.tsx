/** Everything a run logged over steps: a card for each key, one slider for all of them. */
import { useSignal } from "@preact/signals";
import type { MediaKey } from "../api-types";
import { pathOf } from "../api/client";
import { Show, useResource } from "../api/resource";
import { Code } from "../design/code";
import { Empty } from "../design/page";
import { plural } from "../text/format";
import { MediaCard } from "./card";
import { allSteps, inOrder, stepAt, Stepped, useChosen } from "./steps";
import "./media.css";

const MANY = 6;
const CARDS = 60;

export function Gallery(props: { run: string; isRunning: boolean }) {
  const found = useResource<MediaKey[]>(`/runs/${pathOf(props.run)}/media`, [], props.isRunning);
  return (
    <Show of={found}>
      {(keys) =>
        keys.length === 0 ? (
          <Empty title="No media">
            <p>Pictures, sound, tables, histograms and the like stand here, step by step.</p>
            <Code text={'run.log_image("worst", picture, step=10)'} />
          </Empty>
        ) : (
          <Keys run={props.run} keys={keys} />
        )
      }
    </Show>
  );
}

function Keys(props: { run: string; keys: readonly MediaKey[] }) {
  const wanted = useSignal("");
  const chosen = useChosen();
  const steps = allSteps(props.keys.map((one) => one.steps));
  const step = stepAt(steps, chosen);
  const found = inOrder(props.keys).filter((one) => `${one.kind} ${one.key}`.toLowerCase().includes(wanted.value.trim().toLowerCase()));
  const choose = (wantedStep: number) => (chosen.value = steps.indexOf(wantedStep));
  return (
    <Stepped
      steps={steps}
      chosen={chosen}
      aside={
        props.keys.length > MANY && (
          <input
            class="input"
            type="search"
            aria-label="Find media"
            placeholder={`Find among ${plural(props.keys.length, "key")}`}
            value={wanted.value}
            onInput={(change) => (wanted.value = change.currentTarget.value)}
          />
        )
      }
    >
      {found.length === 0 && <p class="quiet">No key is called that.</p>}
      <div class="media-cards">
        {found.slice(0, CARDS).map((one) => (
          <MediaCard key={`${one.kind} ${one.key}`} run={props.run} of={one} step={step} choose={choose} />
        ))}
      </div>
      {found.length > CARDS && <p class="quiet">and {plural(found.length - CARDS, "more key")}: search to find them.</p>}
    </Stepped>
  );
}
