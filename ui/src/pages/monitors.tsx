/** Monitors: what is watched, and whether it is well. */
import type { Monitor, MonitorSummary } from "../api-types";
import { pathOf } from "../api/client";
import { Show, useResource } from "../api/resource";
import { State } from "../design/badge";
import { Code } from "../design/code";
import { Card, Empty, Page } from "../design/page";
import { RefLink } from "../design/ref-link";
import { RowLink, Table } from "../design/table";
import { day, figure } from "../text/format";

export function Monitors() {
  const monitors = useResource<MonitorSummary[]>("/monitors", ["monitor.", "alert."]);
  return (
    <Page title="Monitors">
      <Show of={monitors}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty title="No monitors yet">
              <p>A monitor judges every window of what an endpoint saw and answered, and fires when a figure crosses its line.</p>
              <Code text="interlock demo" />
            </Empty>
          ) : (
            <Card flush>
              <Table
                label="Monitors"
                rows={rows}
                id={(row) => row.monitor.name}
                columns={[
                  {
                    title: "Monitor",
                    wide: true,
                    show: ({ monitor }) => <RowLink href={`/monitors/${pathOf(monitor.name)}`}>{monitor.name}</RowLink>,
                  },
                  { title: "State", show: (row) => <State of={row.open_alerts > 0 ? "firing" : "quiet"} /> },
                  { title: "Watches", extra: true, show: ({ monitor }) => <RefLink to={`endpoint:${monitor.endpoint}`} /> },
                  { title: "Fires when", extra: true, show: ({ monitor }) => rule(monitor) },
                  { title: "Last value", numeric: true, show: (row) => (row.latest ? figure(row.latest.value) : "–") },
                  { title: "Window to", numeric: true, extra: true, show: (row) => (row.latest ? day(row.latest.end) : "–") },
                ]}
              />
            </Card>
          )
        }
      </Show>
    </Page>
  );
}

export function rule(monitor: Monitor): string {
  return `${monitor.metric} ${monitor.direction} ${figure(monitor.threshold)}`;
}
