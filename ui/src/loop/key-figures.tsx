/** The few figures that say whether all is well: what is live, how good it is, what fires. */
import type { Endpoint, MonitorDetail, MonitorSummary } from "../api-types";
import { pathOf } from "../api/client";
import { useResource } from "../api/resource";
import { Sparkline } from "../charts/small";
import { RefLink } from "../design/ref-link";
import { day, fixed, plural } from "../text/format";

const WINDOWS = 24;

export function KeyFigures() {
  const endpoints = useResource<Endpoint[]>("/endpoints", ["endpoint."]).data ?? [];
  const monitors = useResource<MonitorSummary[]>("/monitors", ["monitor.", "alert."]).data ?? [];
  const performance = newestPerformance(monitors);
  const open = monitors.reduce((sum, one) => sum + one.open_alerts, 0);
  const firing = monitors.filter((one) => one.open_alerts > 0);
  return (
    <div class="key-figures">
      <Live endpoints={endpoints} />
      {performance ? <LastWindow summary={performance} /> : <Tile title="Last window" value="–" about="no truths yet" />}
      <Tile
        title="Open alerts"
        value={String(open)}
        tone={open > 0 ? "warn" : ""}
        about={
          firing.length > 0 ? (
            firing.map((one) => <RefLink key={one.monitor.name} to={`monitor:${one.monitor.name}`} />)
          ) : monitors.length > 0 ? (
            `${plural(monitors.length, "monitor")} watching`
          ) : (
            "no monitor yet"
          )
        }
      />
    </div>
  );
}

function Tile(props: {
  title: string;
  value: preact.ComponentChildren;
  about: preact.ComponentChildren;
  tone?: string;
  children?: preact.ComponentChildren;
}) {
  return (
    <section class={`tile ${props.tone ?? ""}`} aria-label={props.title}>
      <div>
        <h3>{props.title}</h3>
        <p class="tile-value number">{props.value}</p>
        <p class="tile-about">{props.about}</p>
      </div>
      {props.children}
    </section>
  );
}

function Live(props: { endpoints: readonly Endpoint[] }) {
  const newest = [...props.endpoints].sort((a, b) => b.changed_at.localeCompare(a.changed_at))[0];
  const live = newest?.deployments.find((one) => one.role === "live");
  if (newest === undefined || live === undefined) return <Tile title="Live model" value="–" about="nothing deployed yet" />;
  const beside = newest.deployments.filter((one) => one !== live).map((one) => one.role);
  return (
    <Tile
      title="Live model"
      value={<RefLink to={live.model} />}
      about={
        <>
          on <RefLink to={`endpoint:${newest.name}`} />
          {beside.length > 0 && ` · ${beside.join(" and ")} beside it`}
        </>
      }
    />
  );
}

function LastWindow(props: { summary: MonitorSummary }) {
  const { monitor, latest } = props.summary;
  const detail = useResource<MonitorDetail>(`/monitors/${pathOf(monitor.name)}`, ["monitor.reported"]).data;
  const values = (detail?.reports ?? []).map((report) => report.value).filter((value) => value !== null);
  return (
    <Tile
      title={`${monitor.metric.toUpperCase()}, last window`}
      value={<a href={`/monitors/${pathOf(monitor.name)}`}>{fixed(latest?.value ?? null)}</a>}
      tone={latest?.breached ? "warn" : ""}
      about={latest && `week to ${day(latest.end)}`.replace("week", monitor.window_s === 604_800 ? "week" : "window")}
    >
      <Sparkline
        values={values.slice(-WINDOWS)}
        threshold={monitor.threshold}
        label={`${monitor.metric} of the last ${Math.min(values.length, WINDOWS)} windows against ${monitor.threshold}`}
      />
    </Tile>
  );
}

function newestPerformance(monitors: readonly MonitorSummary[]): MonitorSummary | undefined {
  return monitors
    .filter((one) => one.monitor.kind === "performance" && one.latest?.value != null)
    .sort((a, b) => b.latest!.end.localeCompare(a.latest!.end))[0];
}
