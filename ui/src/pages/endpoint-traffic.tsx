/** How an endpoint does: requests, latency and failures of the last hour. */
import type { EndpointDetail, EndpointTraffic, TrafficMinute } from "../api-types";
import { pathOf } from "../api/client";
import { Show, useResource } from "../api/resource";
import { LineChart } from "../charts/line-chart";
import { ShareBar } from "../charts/small";
import { Card, Empty } from "../design/page";
import { compact, figure, percent } from "../text/format";
import "./endpoint.css";

export function Traffic(props: { detail: EndpointDetail }) {
  const { endpoint, counts } = props.detail;
  const traffic = useResource<EndpointTraffic>(`/endpoints/${pathOf(endpoint.name)}/traffic`, ["endpoint."], true);
  return (
    <div class="stack">
      <Card title="Who answers">
        <ShareBar deployments={endpoint.deployments} />
      </Card>
      <Show of={traffic}>{(found) => <Hour of={found} truths={counts["feedback"] ?? 0} />}</Show>
    </div>
  );
}

function Hour(props: { of: EndpointTraffic; truths: number }) {
  const { minutes, url } = props.of;
  const sum = (field: "requests" | "rows" | "failures") => minutes.reduce((all, minute) => all + minute[field], 0);
  const [requests, failures] = [sum("requests"), sum("failures")];
  const busiest = minutes.reduce((most, minute) => Math.max(most, minute.requests), 0);
  if (requests + failures === 0)
    return (
      <Card>
        <Empty title="Quiet for an hour">
          {url === null ? "No process answers for it now: interlock serve, or interlock up." : "Nobody asked. The tab Try it sends a first request."}
        </Empty>
      </Card>
    );
  const last = [...minutes].reverse().find((minute) => minute.requests > 0);
  return (
    <>
      <Card title="The last hour" aside={url ?? undefined}>
        <dl class="answer tiles">
          <Tile name="Requests" value={compact(requests)} about={`${figure(busiest)} in the busiest minute`} />
          <Tile name="Rows" value={compact(sum("rows"))} about={`${compact(props.truths)} truths so far`} />
          <Tile name="Half within" value={ms(last?.p50_ms)} about="in the newest minute" />
          <Tile name="99 of 100 within" value={ms(last?.p99_ms)} about="in the newest minute" />
          <Tile name="Failed" value={percent(failures / (requests + failures))} about={`${figure(failures)} requests`} bad={failures > 0} />
        </dl>
      </Card>
      <div class="halves">
        <Card title="Requests" aside="per minute">
          <LineChart
            time
            label="Requests and failures per minute"
            x={minutes.map((minute) => minute.at)}
            lines={[
              { label: "requests", values: minutes.map((minute) => minute.requests), ink: "model" },
              { label: "failed", values: minutes.map((minute) => minute.failures), ink: "bad" },
            ]}
          />
        </Card>
        <Card title="Latency" aside="ms, at the server">
          <LineChart
            time
            gaps
            label="Latency quantiles per minute"
            x={minutes.map((minute) => minute.at)}
            lines={[quantile(minutes, "p50_ms", "series-1"), quantile(minutes, "p90_ms", "series-3"), quantile(minutes, "p99_ms", "series-2")]}
          />
        </Card>
      </div>
    </>
  );
}

function Tile(props: { name: string; value: string; about: string; bad?: boolean }) {
  return (
    <div>
      <dt>{props.name}</dt>
      <dd class={`number${props.bad ? " tile-bad" : ""}`}>{props.value}</dd>
      <dd class="tile-about">{props.about}</dd>
    </div>
  );
}

function quantile(minutes: readonly TrafficMinute[], field: "p50_ms" | "p90_ms" | "p99_ms", ink: string) {
  return { label: field.replace("_ms", ""), values: minutes.map((minute) => minute[field]), ink };
}

/** A short time in a unit in which it has two or three digits. */
export function ms(time: number | null | undefined): string {
  if (time === null || time === undefined) return "–";
  if (time < 1) return `${Math.round(time * 1000)} µs`;
  return time < 1000 ? `${Number(time.toPrecision(3))} ms` : `${Number((time / 1000).toPrecision(3))} s`;
}
