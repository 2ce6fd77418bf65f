/** A table of predictions, with what proved true of each. */
import type { PredictionRow } from "../api-types";
import { pathOf } from "../api/client";
import { Badge, State } from "../design/badge";
import { Empty } from "../design/page";
import { RefLink } from "../design/ref-link";
import { RowLink, Table } from "../design/table";
import { shortId } from "../nav/refs";
import { inline, moment } from "../text/format";
import "./endpoint.css";

export function Predictions(props: { rows: readonly PredictionRow[]; isNew?: (row: PredictionRow) => boolean }) {
  if (props.rows.length === 0)
    return <Empty title="Nothing asked yet">Each answer is logged with an id; its truth is joined when it arrives.</Empty>;
  const outputs = Object.keys(props.rows[0]!.outputs);
  return (
    <Table
      label="Recent predictions"
      rows={props.rows}
      id={(row) => `${row.id} ${row.model}`}
      fresh={props.isNew}
      columns={[
        {
          title: "Prediction",
          show: (row) => <RowLink href={`/predictions/${pathOf(row.id)}`}>{shortId(row.id)}</RowLink>,
        },
        { title: "Asked", wide: true, extra: true, show: (row) => <span class="asked quiet">{asked(row)}</span> },
        { title: "Answered by", extra: true, show: (row) => <RefLink to={row.model} /> },
        { title: "Role", extra: true, show: (row) => <State of={row.role} /> },
        ...outputs.map((name) => ({
          title: name,
          numeric: true,
          show: (row: PredictionRow) => inline(row.outputs[name]),
        })),
        { title: "Truth", numeric: true, show: (row) => <Truth of={row} /> },
        { title: "About", numeric: true, extra: true, show: (row) => moment(row.event_time) },
      ]}
    />
  );
}

/** The inputs in one line, as far as there is room. */
function asked(row: PredictionRow): string {
  return Object.entries(row.inputs)
    .map(([name, value]) => `${name} ${inline(value)}`)
    .join(", ");
}

/** What proved true; a label that was answered is right or wrong by then. */
function Truth(props: { of: PredictionRow }) {
  const { truth, outputs } = props.of;
  if (truth === null || truth === undefined) return <span class="faint">not yet</span>;
  const label = outputs["label"];
  if (label === undefined) return <>{inline(truth)}</>;
  const isRight = label === truth;
  return <Badge tone={isRight ? "good" : "bad"}>{`${inline(truth)} ${isRight ? "right" : "wrong"}`}</Badge>;
}
