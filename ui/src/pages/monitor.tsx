/** One monitor: its figure window by window, with its interval, its threshold and its alerts. */
import type { Alert, Monitor, MonitorDetail, Report } from "../api-types";
import { pathOf } from "../api/client";
import { Show, useResource } from "../api/resource";
import { LineChart } from "../charts/line-chart";
import { State } from "../design/badge";
import { Card, Empty, Page } from "../design/page";
import { RefLink } from "../design/ref-link";
import { Table } from "../design/table";
import { lineageHref } from "../nav/refs";
import { day, duration, figure } from "../text/format";
import { Time } from "../text/time";
import { rule } from "./monitors";

export function MonitorPage(props: { name: string }) {
  const detail = useResource<MonitorDetail>(`/monitors/${pathOf(props.name)}`, ["monitor.", "alert."]);
  return (
    <Page
      title={props.name}
      above={<a href="/monitors">Monitors</a>}
      about={detail.data && <About detail={detail.data} />}
      aside={
        <a class="button" href={lineageHref(`monitor:${props.name}`)}>
          Lineage
        </a>
      }
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
  return (
    <>
      <Card title={`${monitor.metric} per window`} aside="band: 95 % interval · dashes: threshold · triangles: alerts">
        <WindowChart monitor={monitor} reports={reports} alerts={alerts} />
      </Card>
      <div class="columns">
        <Card title="Windows" flush>
          <Windows reports={reports} />
        </Card>
        <Card title="Alerts">
          <Alerts of={alerts} />
        </Card>
      </div>
    </>
  );
}

function WindowChart(props: { monitor: Monitor; reports: readonly Report[]; alerts: readonly Alert[] }) {
  const { monitor, reports, alerts } = props;
  const raised = new Set(alerts.map((alert) => alert.report.replace(/^report:/, "")));
  const x = reports.map(middle);
  const last = reports.at(-1);
  return (
    <LineChart
      label={`${monitor.metric} of ${reports.length} windows; the last is ${figure(last?.value ?? null)}; threshold ${figure(monitor.threshold)}`}
      time
      height={300}
      x={x}
      lines={[
        { label: monitor.metric, values: reports.map((report) => report.value), ink: "model" },
        { label: "low", values: reports.map((report) => report.low), ink: "model", edge: true },
        { label: "high", values: reports.map((report) => report.high), ink: "model", edge: true },
      ]}
      band={[2, 1]}
      threshold={monitor.threshold}
      marks={reports.filter((report) => raised.has(report.id)).map(middle)}
    />
  );
}

/** Seconds since 1970 at the middle of a report's window. */
function middle(report: Report): number {
  return (Date.parse(report.start) + Date.parse(report.end)) / 2000;
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

function Alerts(props: { of: readonly Alert[] }) {
  if (props.of.length === 0) return <p class="quiet">None so far.</p>;
  return (
    <ol class="timeline">
      {props.of.map((alert) => (
        <li key={alert.id}>
          <p>
            <State of={alert.closed_at === null ? "open" : "closed"} />{" "}
            <span class="faint">
              <Time at={alert.opened_at} />
            </span>
          </p>
          <p>{alert.reason}</p>
          {alert.resolution && <p class="quiet">{alert.resolution}</p>}
          <p>
            <a class="ref" href={lineageHref(`alert:${alert.id}`)}>
              What came of it
            </a>
          </p>
        </li>
      ))}
    </ol>
  );
}
