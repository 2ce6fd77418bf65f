/** Datasets: the newest snapshot of each. */
import type { Snapshot } from "../api-types";
import { pathOf } from "../api/client";
import { Show, useResource } from "../api/resource";
import { Badge } from "../design/badge";
import { Code } from "../design/code";
import { Card, Empty, Page } from "../design/page";
import { RowLink, Table } from "../design/table";
import { figure } from "../text/format";
import { Time } from "../text/time";

export function Datasets() {
  const datasets = useResource<Snapshot[]>("/datasets", ["dataset."]);
  return (
    <Page title="Data">
      <Show of={datasets}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty title="No datasets yet">
              <p>A snapshot is an immutable version of a table, checked by rules on its way in.</p>
              <Code text={'il.open().data.commit("flights", frame)'} />
            </Empty>
          ) : (
            <Card flush>
              <Table
                label="Datasets"
                rows={rows}
                id={(snapshot) => snapshot.dataset}
                columns={[
                  {
                    title: "Dataset",
                    wide: true,
                    show: (snapshot) => <RowLink href={`/datasets/${pathOf(snapshot.dataset)}`}>{snapshot.dataset}</RowLink>,
                  },
                  { title: "Newest", numeric: true, show: (snapshot) => `@${snapshot.version}` },
                  { title: "Rows", numeric: true, show: (snapshot) => figure(snapshot.rows) },
                  { title: "Columns", numeric: true, extra: true, show: (snapshot) => snapshot.columns.length },
                  { title: "Quarantined", numeric: true, show: (snapshot) => <Quarantined of={snapshot} /> },
                  { title: "Committed", numeric: true, extra: true, show: (snapshot) => <Time at={snapshot.created_at} /> },
                ]}
              />
            </Card>
          )
        }
      </Show>
    </Page>
  );
}

export function Quarantined(props: { of: Snapshot }) {
  const rows = props.of.quarantined_rows;
  return rows === 0 ? <span class="faint">none</span> : <Badge tone="warn">{figure(rows)}</Badge>;
}
