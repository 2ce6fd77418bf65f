/** One prediction: what was asked, what was answered, what proved true, and everything that led to it. */
import type { PredictionRow, Trace } from "../api-types";
import { pathOf } from "../api/client";
import { Show, useResource } from "../api/resource";
import { State } from "../design/badge";
import { Card, Facts, Page } from "../design/page";
import { RefLink } from "../design/ref-link";
import { Table } from "../design/table";
import { lineageHref, shortId } from "../nav/refs";
import { inline, moment, plural } from "../text/format";
import { Side } from "./steps";

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
      aside={
        seen && (
          <a class="button" href={lineageHref(seen.model)}>
            Lineage of the model
          </a>
        )
      }
    >
      <Show of={answers}>{(rows) => <Body name={props.name} rows={rows} />}</Show>
    </Page>
  );
}

function Body(props: { name: string; rows: readonly PredictionRow[] }) {
  const [seen, ...shadows] = props.rows;
  if (seen === undefined) return null;
  return (
    <div class="columns columns-left">
      <div class="stack">
        <Answer of={seen} />
        <Card title="Asked" aside={plural(Object.keys(seen.inputs).length, "input")}>
          <Facts of={Object.entries(seen.inputs).map(([name, value]) => [name, inline(value)])} />
        </Card>
        {shadows.length > 0 && <Shadows rows={shadows} outputs={Object.keys(seen.outputs)} />}
      </div>
      <WayBack of={`prediction:${props.name}`} />
    </div>
  );
}

function Answer(props: { of: PredictionRow }) {
  const { outputs, truth } = props.of;
  const isKnown = truth !== null && truth !== undefined;
  return (
    <Card>
      <dl class="answer">
        {Object.entries(outputs).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class="number">{inline(value)}</dd>
          </div>
        ))}
        <div class="answer-truth">
          <dt>Proved true</dt>
          <dd class="number">{isKnown ? inline(truth) : <span class="answer-waits">not known yet</span>}</dd>
        </div>
      </dl>
    </Card>
  );
}

function Shadows(props: { rows: readonly PredictionRow[]; outputs: readonly string[] }) {
  return (
    <Card title="What shadows would have answered" flush>
      <Table
        label="Answers of shadows"
        rows={props.rows}
        id={(row) => row.model}
        columns={[
          { title: "Model", show: (row) => <RefLink to={row.model} /> },
          ...props.outputs.map((name) => ({
            title: name,
            numeric: true,
            show: (row: PredictionRow) => inline(row.outputs[name]),
          })),
        ]}
      />
    </Card>
  );
}

function WayBack(props: { of: string }) {
  const trace = useResource<Trace>(`/trace?ref=${encodeURIComponent(props.of)}`, ["feedback."]);
  return (
    <Card title="The way back" aside={trace.data && plural(trace.data.back.length, "step")}>
      <Show of={trace}>{(found) => <Side steps={found.back} direction="back" />}</Show>
    </Card>
  );
}
