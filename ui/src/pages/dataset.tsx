/** One dataset: its snapshots, the rules that rows broke, and what each column holds. */
import type { Column, DatasetDetail, Snapshot } from "../api-types";
import { pathOf } from "../api/client";
import { Show, useResource } from "../api/resource";
import { Histogram } from "../charts/small";
import { Card, Empty, Facts, Page } from "../design/page";
import { RefText, RefTools } from "../design/ref-link";
import { RowLink, Table } from "../design/table";
import { query } from "../nav/router";
import { bytes, day, figure, percent, plural } from "../text/format";
import { Time } from "../text/time";
import { Quarantined } from "./datasets";
import { Nearby } from "./steps";

/** What a profile says of a column (`interlock.data.profiles.ColumnProfile`); fields at their default are left out. */
interface ColumnProfile {
  name: string;
  type: Column["type"];
  count: number;
  nulls: number;
  distinct?: number | null;
  min?: number | string | null;
  max?: number | string | null;
  mean?: number | null;
  counts?: number[];
  top?: Record<string, number>;
}

export function DatasetPage(props: { name: string }) {
  const detail = useResource<DatasetDetail>(`/datasets/${pathOf(props.name)}`, ["dataset."]);
  const shown = detail.data && chosen(detail.data);
  return (
    <Page
      title={props.name}
      above={<a href="/datasets">Data</a>}
      about={
        shown && (
          <>
            <span>
              snapshot <strong>@{shown.version}</strong>
            </span>
            <span>{plural(shown.rows, "row")}</span>
            <span>{plural(shown.columns.length, "column")}</span>
            <span>
              <Time at={shown.created_at} />
            </span>
            <span>
              <RefText text={shown.message || shown.source} />
            </span>
          </>
        )
      }
      aside={shown && <RefTools of={refOf(shown)} />}
    >
      <Show of={detail}>{(found) => <Body detail={found} />}</Show>
    </Page>
  );
}

/** The snapshot that the address names by its version; else the newest. */
function chosen(detail: DatasetDetail): Snapshot | undefined {
  const wanted = Number(query.value.get("version"));
  return detail.snapshots.find((snapshot) => snapshot.version === wanted) ?? detail.snapshots[0];
}

function refOf(snapshot: Snapshot): string {
  return `dataset:${snapshot.dataset}@${snapshot.version}`;
}

function Body(props: { detail: DatasetDetail }) {
  const { snapshots, profile } = props.detail;
  const shown = chosen(props.detail);
  if (shown === undefined) return <Empty title="No snapshots">Nothing has been committed.</Empty>;
  // Only the newest snapshot comes with its profile.
  const columns = shown === snapshots[0] ? (profile?.["columns"] as ColumnProfile[] | undefined) : undefined;
  return (
    <div class="stack">
      <div class="columns">
        <Card title="Snapshots" aside={snapshots.length} flush>
          <Snapshots of={snapshots} chosen={shown} />
        </Card>
        <Card title="Broken rules" aside={`@${shown.version}`}>
          <Violations of={shown} />
        </Card>
      </div>
      <Nearby key={shown.version} of={refOf(shown)} />
      <Card title="Columns" aside={`of @${shown.version}`} flush>
        {columns ? <Profile columns={columns} schema={shown.columns} /> : <Schema columns={shown.columns} />}
      </Card>
    </div>
  );
}

function Profile(props: { columns: readonly ColumnProfile[]; schema: readonly Column[] }) {
  const units = new Map(props.schema.map((column) => [column.name, column.unit]));
  return (
    <Table
      label="Columns"
      rows={props.columns}
      id={(column) => column.name}
      columns={[
        {
          title: "Column",
          show: (column) => (
            <>
              <strong>{column.name}</strong> <span class="faint">{units.get(column.name)}</span>
            </>
          ),
        },
        { title: "Type", extra: true, show: (column) => <span class="quiet">{column.type}</span> },
        { title: "Holds", wide: true, show: (column) => <Holds column={column} /> },
        { title: "Missing", numeric: true, show: (column) => percent(column.nulls / Math.max(1, column.count + column.nulls)) },
        { title: "Distinct", numeric: true, extra: true, show: (column) => (column.distinct == null ? "–" : figure(column.distinct)) },
        { title: "Min", numeric: true, extra: true, show: (column) => shown(column, column.min) },
        { title: "Mean", numeric: true, extra: true, show: (column) => shown(column, column.mean) },
        { title: "Max", numeric: true, extra: true, show: (column) => shown(column, column.max) },
      ]}
    />
  );
}

function Holds(props: { column: ColumnProfile }) {
  const { column } = props;
  if (column.counts && column.counts.length > 0)
    return <Histogram counts={column.counts} label={`histogram of ${column.name}`} />;
  const top = Object.entries(column.top ?? {}).slice(0, 4);
  return (
    <span class="quiet">
      {top.map(([value, count]) => `${value} ${percent(count / Math.max(1, column.count))}`).join(" · ") || "–"}
    </span>
  );
}

/** Times are profiled as microseconds since 1970. */
function shown(column: ColumnProfile, value: number | string | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value;
  return column.type === "datetime" ? day(new Date(value / 1000).toISOString()) : figure(value);
}

function Schema(props: { columns: readonly Column[] }) {
  return (
    <Table
      label="Columns"
      rows={props.columns}
      id={(column) => column.name}
      columns={[
        { title: "Column", wide: true, show: (column) => <strong>{column.name}</strong> },
        { title: "Type", show: (column) => column.type },
        { title: "Unit", show: (column) => column.unit ?? "–" },
      ]}
    />
  );
}

function Snapshots(props: { of: readonly Snapshot[]; chosen: Snapshot }) {
  const size = (snapshot: Snapshot) => snapshot.parts.reduce((sum, part) => sum + part.size_bytes, 0);
  return (
    <Table
      label="Snapshots"
      rows={props.of}
      id={(snapshot) => String(snapshot.version)}
      columns={[
        {
          title: "Version",
          show: (snapshot) => (
            <RowLink href={`?version=${snapshot.version}`}>
              {snapshot === props.chosen ? "▸ " : ""}@{snapshot.version}
            </RowLink>
          ),
        },
        { title: "Message", wide: true, show: (snapshot) => snapshot.message || <span class="faint">{snapshot.source}</span> },
        { title: "Rows", numeric: true, show: (snapshot) => figure(snapshot.rows) },
        { title: "Size", numeric: true, extra: true, show: (snapshot) => bytes(size(snapshot)) },
        { title: "Quarantined", numeric: true, extra: true, show: (snapshot) => <Quarantined of={snapshot} /> },
        { title: "Committed", numeric: true, extra: true, show: (snapshot) => <Time at={snapshot.created_at} /> },
      ]}
    />
  );
}

function Violations(props: { of: Snapshot }) {
  const broken = Object.entries(props.of.violations).sort((a, b) => b[1] - a[1]);
  if (broken.length === 0) return <p class="quiet">Every row kept every rule.</p>;
  return (
    <>
      <Facts of={broken.map(([rule, rows]) => [rule, plural(rows, "row")])} />
      <p class="faint">{plural(props.of.quarantined_rows, "row")} set aside in quarantine, none dropped.</p>
    </>
  );
}
