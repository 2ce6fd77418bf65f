/** One prediction: what was asked, what was answered, what proved true, and everything that led to it. */
import type { LineageView, PredictionRow } from "../api-types";
import { pathOf } from "../api/client";
import { Show, useResource } from "../api/resource";
import { State } from "../design/badge";
import { Card, Facts, Page } from "../design/page";
import { RefLink } from "../design/ref-link";
import { Table } from "../design/table";
import { lineageHref, shortId } from "../nav/refs";
import { inline, moment } from "../text/format";
import { LineageGraph } from "./lineage-graph";

export function PredictionPage(props: { name: string }) {
  const answers = useResource<PredictionRow[]>(`/predictions/${pathOf(props.name)}`, ["feedback."]);
  const seen = answers.data?.[0];
  return (
    <Page
      title={shortId(props.name)}
      above="Prediction"
      about={
        seen && (
          <>
            <State of={seen.role} />
            <span>
              answered by <RefLink to={seen.model} />
            </span>
            <span>about {moment(seen.event_time)}</span>
          </>
        )
      }
    >
      <Show of={answers}>{(rows) => <Body rows={rows} />}</Show>
    </Page>
  );
}

function Body(props: { rows: readonly PredictionRow[] }) {
  const [seen, ...shadows] = props.rows;
  if (seen === undefined) return null;
  return (
    <div class="stack">
      <div class="grid">
        <Card title="Asked">
          <Facts of={Object.entries(seen.inputs).map(([name, value]) => [name, inline(value)])} />
        </Card>
        <Card title="Answered">
          <Facts of={Object.entries(seen.outputs).map(([name, value]) => [name, inline(value)])} />
        </Card>
        <Card title="Proved true">
          {seen.truth === null || seen.truth === undefined ? (
            <p class="quiet">Not known yet.</p>
          ) : (
            <p class="truth number">{inline(seen.truth)}</p>
          )}
        </Card>
      </div>
      {shadows.length > 0 && (
        <Card title="What shadows would have answered" flush>
          <Table
            label="Answers of shadows"
            rows={shadows}
            id={(row) => row.model}
            columns={[
              { title: "Model", wide: true, show: (row) => <RefLink to={row.model} /> },
              ...Object.keys(seen.outputs).map((name) => ({
                title: name,
                numeric: true,
                show: (row: PredictionRow) => inline(row.outputs[name]),
              })),
            ]}
          />
        </Card>
      )}
      <WayBack model={seen.model} />
    </div>
  );
}

function WayBack(props: { model: string }) {
  const lineage = useResource<LineageView>(`/lineage?ref=${encodeURIComponent(props.model)}&depth=2`);
  return (
    <Card
      title="The way back"
      aside={
        <a class="ref" href={lineageHref(props.model)}>
          Open
        </a>
      }
    >
      <Show of={lineage}>{(view) => <LineageGraph view={view} />}</Show>
    </Card>
  );
}
