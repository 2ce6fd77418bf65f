/** What a run read and made, drawn, and told one step each way. */
import type { LineageView } from "../api-types";
import { Show, useResource } from "../api/resource";
import { Empty } from "../design/page";
import { LineageGraph } from "./lineage-graph";
import { OpenCrowd } from "./crowd";
import { Nearby } from "./steps";

const DEPTH = 2;

export function RunLineage(props: { of: string }) {
  const lineage = useResource<LineageView>(`/lineage?ref=${encodeURIComponent(props.of)}&depth=${DEPTH}`, ["run.", "model."]);
  return (
    <Show of={lineage}>
      {(view) =>
        view.edges.length === 0 ? (
          <Empty title="No lineage">Nothing this run read is recorded, and nothing came of it yet.</Empty>
        ) : (
          <div class="stack">
            <p class="quiet">Two steps each way, earlier to the left; each thing leads to its own lineage.</p>
            <LineageGraph view={view} />
            <OpenCrowd view={view} />
            <Nearby of={props.of} />
          </div>
        )
      }
    </Show>
  );
}
