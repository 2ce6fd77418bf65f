/** One monitor: its figure window by window, with its interval, its threshold and its alerts. */
import type { Alert, Monitor, MonitorDetail, Report } from "../api-types";
import { pathOf } from "../api/client";
import { Show, useResource } from "../api/resource";
import { Heatmap } from "../charts/heatmap";
import { LineChart } from "../charts/line-chart";
import { State } from "../design/badge";
import { Card, Empty, Page } from "../design/page";
import { RefLink, RefText, RefTools } from "../design/ref-link";
import { Table } from "../design/table";
import { shortId, shortRef, traceHref } from "../nav/refs";
import { clauses, day, duration, figure } from "../text/format";
import { rule } from "./monitors";

/** Letters of an alert's reason; its window stands above it. */
const REASON = 66;

export function MonitorPage(props: { name: string }) {
  const detail = useResource<MonitorDetail>(`/monitors/${pathOf(props.name)}`, ["monitor.", "alert."]);
  return (
    <Page
      title={props.name}
      above={<a href="/monitors">Monitors</a>}
      about={detail.data && <About detail={detail.data} />}
      aside={<RefTools of={`monitor:${props.name}`} />}
    >
      <Show of={detail}>{(found) => <Body detail={found} />}</Show>
    </Page>
  );
}

function About(props: { detail: MonitorDetail }) {
  const { monitor, alerts } = props.detail;
  return (
    <>
      <State of={alerts.some((alert) => alert.closed_at === null) ? "firing" : "quiet"} />
      <span>
        {monitor.kind} of <RefLink to={`endpoint:${monitor.endpoint}`} />
      </span>
      <span>fires when {rule(monitor)}</span>
      <span>
        windows of {duration(monitor.window_s)}, at least {figure(monitor.min_rows)} rows
      </span>
    </>
  );
}

function Body(props: { detail: MonitorDetail }) {
  const { monitor, reports, alerts } = props.detail;
  if (reports.length === 0)
    return <Empty title="No window judged yet">The first report is made when a window is over and its truths are in.</Empty>;
  const withBand = reports.some((report) => report.low !== null);
  return (
    <>
      <Card
        title={`${monitor.metric} per window`}
        aside={`${withBand ? "band: 95 % interval · " : ""}dashes: threshold · triangles: alerts · @: the version that answered`}
      >
        <WindowChart monitor={monitor} reports={reports} alerts={alerts} withBand={withBand} />
      </Card>
      <ColumnDrift monitor={monitor} reports={reports} />
      <div class="columns">
        <Card title="Windows" aside={reports.length} flush>
          <Windows reports={reports} />
        </Card>
        <Card title="Alerts" aside={alerts.length}>
          <Alerts of={alerts} reports={reports} />
        </Card>
      </div>
    </>
  );
}

function WindowChart(props: {
  monitor: Monitor;
  reports: readonly Report[];
  alerts: readonly Alert[];
  withBand: boolean;
}) {
  const { monitor, reports, alerts, withBand } = props;
  const raised = new Set(alerts.map((alert) => idOf(alert.report)));
  const last = reports.at(-1);
  const edges = [
    { label: "low", values: reports.map((report) => report.low), ink: "model", edge: true },
    { label: "high", values: reports.map((report) => report.high), ink: "model", edge: true },
  ];
  return (
    <LineChart
      label={`${monitor.metric} of ${reports.length} windows; the last is ${figure(last?.value ?? null)}; threshold ${figure(monitor.threshold)}`}
      time
      height={300}
      x={reports.map(middle)}
      lines={[
        { label: monitor.metric, values: reports.map((report) => report.value), ink: "model" },
        ...(withBand ? edges : []),
      ]}
      {...(withBand && { band: [2, 1] as const })}
      threshold={monitor.threshold}
      marks={reports.filter((report) => raised.has(report.id)).map(middle)}
      turns={reports.flatMap((report, at) =>
        report.model === reports[at - 1]?.model ? [] : [{ at: seconds(report.start), label: shortRef(report.model).replace(/^[^@]+/, "") }],
      )}
    />
  );
}

function idOf(report: string): string {
  return report.replace(/^report:/, "");
}

/** How far each column had moved in each window, worst on top; only drift monitors say it. */
function ColumnDrift(props: { monitor: Monitor; reports: readonly Report[] }) {
  const { monitor, reports } = props;
  const names = new Set(reports.flatMap((report) => Object.keys(columnsOf(report))));
  if (names.size === 0) return null;
  const rows = [...names].map((name) => {
    const values = reports.map((report) => columnsOf(report)[name]?.[monitor.metric] ?? null);
    return { name, values, top: Math.max(...values.map((value) => value ?? 0)) };
  });
  return (
    <Card title={`${monitor.metric} of each column`} aside={`a window per cell, worst column first; red is above ${figure(monitor.threshold)}`}>
      <Heatmap
        rows={rows.sort((a, b) => b.top - a.top)}
        titles={reports.map((report) => `${day(report.start)} – ${day(report.end)}`)}
        threshold={monitor.threshold}
      />
    </Card>
  );
}

/** What a drift report says of each column (`interlock.monitoring.drift`), by the name of the figure. */
function columnsOf(report: Report): Record<string, Record<string, number | null>> {
  return (report.details["columns"] as Record<string, Record<string, number | null>> | undefined) ?? {};
}

/** Seconds since 1970 at the middle of a report's window. */
function middle(report: Report): number {
  return (seconds(report.start) + seconds(report.end)) / 2;
}

function seconds(time: string): number {
  return Date.parse(time) / 1000;
}

function Windows(props: { reports: readonly Report[] }) {
  return (
    <Table
      label="Windows, newest first"
      rows={[...props.reports].reverse()}
      id={(report) => report.id}
      marked={(report) => report.breached}
      columns={[
        { title: "Window", wide: true, show: (report) => `${day(report.start)} – ${day(report.end)}` },
        { title: "Value", numeric: true, show: (report) => figure(report.value) },
        {
          title: "Interval",
          numeric: true,
          extra: true,
          show: (report) => (report.low === null || report.high === null ? "–" : `${figure(report.low)} – ${figure(report.high)}`),
        },
        { title: "Rows", numeric: true, show: (report) => figure(report.rows) },
        { title: "Model", extra: true, show: (report) => <RefLink to={report.model} /> },
      ]}
    />
  );
}

function Alerts(props: { of: readonly Alert[]; reports: readonly Report[] }) {
  if (props.of.length === 0) return <p class="quiet">None so far.</p>;
  const reports = new Map(props.reports.map((report) => [report.id, report]));
  return (
    <ol class="timeline">
      {props.of.map((alert) => {
        const window = reports.get(idOf(alert.report));
        return (
          <li key={alert.id} class="alert">
            <p>
              <a class="ref" href={traceHref(`alert:${alert.id}`)}>
                {window ? `${day(window.start)} – ${day(window.end)}` : shortId(alert.id)}
              </a>{" "}
              {alert.closed_at === null && <State of="open" />}
            </p>
            <p title={alert.reason}>{clauses(alert.reason, REASON)}</p>
            {alert.resolution && (
              <p class="quiet">
                <RefText text={alert.resolution} />
              </p>
            )}
          </li>
        );
      })}
    </ol>
  );
}
