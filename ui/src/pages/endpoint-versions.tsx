/** The versions behind an endpoint: their role, engine and proof, and what each did so far. */
import type { Deployment, EndpointDetail, EndpointTraffic, ModelVersion, VersionTraffic } from "../api-types";
import { pathOf } from "../api/client";
import { useResource } from "../api/resource";
import { Badge, State } from "../design/badge";
import { Card, Empty } from "../design/page";
import { RefLink } from "../design/ref-link";
import { Table } from "../design/table";
import { figure, percent } from "../text/format";
import { ms } from "./endpoint-traffic";
import { enginesOf } from "./model-engines";

interface Row {
  deployment: Deployment;
  version: ModelVersion | undefined;
  traffic: VersionTraffic | undefined;
}

export function Versions(props: { detail: EndpointDetail }) {
  const { endpoint, versions, counts } = props.detail;
  const traffic = useResource<EndpointTraffic>(`/endpoints/${pathOf(endpoint.name)}/traffic`, ["endpoint."], true);
  const rows = endpoint.deployments.map((deployment) => ({
    deployment,
    version: versions.find((one) => `model:${one.model}@${one.version}` === deployment.model),
    traffic: traffic.data?.versions.find((one) => one.model === deployment.model && one.role === deployment.role),
  }));
  return (
    <div class="stack">
      <Card flush>
        <Table
          label="Versions"
          rows={rows}
          id={(row) => row.deployment.model}
          columns={[
            { title: "Version", show: (row) => <RefLink to={row.deployment.model} /> },
            { title: "Role", show: (row) => <State of={row.deployment.role} /> },
            { title: "Share", numeric: true, show: (row) => (row.deployment.role === "shadow" ? "hears all" : percent(row.deployment.share)) },
            { title: "Engine", show: (row) => (row.version ? <Badge tone="software">{row.version.engine || "none"}</Badge> : "–") },
            { title: "Proof", wide: true, extra: true, show: (row) => <span class="quiet">{proof(row.version)}</span> },
            { title: "Rows logged", numeric: true, show: ({ deployment }) => figure(counts[`${deployment.model} ${deployment.role}`] ?? 0) },
            { title: "p50", numeric: true, extra: true, show: (row) => ms(row.traffic?.p50_ms) },
            { title: "p99", numeric: true, show: (row) => ms(row.traffic?.p99_ms) },
            { title: "Failed", numeric: true, extra: true, show: (row) => figure(row.traffic?.failures ?? 0) },
          ]}
        />
      </Card>
      {rows.map((row) => (
        <Problem key={row.deployment.model} row={row} />
      ))}
      <Former counts={counts} now={endpoint.deployments} />
    </div>
  );
}

function Problem(props: { row: Row }) {
  const problem = props.row.traffic?.problem;
  if (!problem) return null;
  return (
    <section class="problem">
      <h2>
        {props.row.deployment.model}: {problem}
      </h2>
    </section>
  );
}

/** What the compiled form was held against: how much quicker it is, and how closely it agrees. */
function proof(version: ModelVersion | undefined): string {
  if (version === undefined) return "not in this registry";
  const { facts } = version;
  const number = (name: string) => (typeof facts[name] === "number" ? facts[name] : null);
  const [row, native, difference] = [number("one_row_us"), enginesOf(version)[0]?.one_row_us ?? null, number("max_difference")];
  const parts = [
    row !== null && `${figure(row)} µs a row`,
    row !== null && native !== null && native > row * 1.2 && `${Math.round(native / row)} × quicker than ${version.flavor}`,
    difference !== null && `differs by at most ${difference === 0 ? "0" : difference.toExponential(0)}`,
    typeof facts["not_compiled"] === "string" && `not compiled: ${facts["not_compiled"]}`,
  ];
  return parts.filter(Boolean).join(", ");
}

/** Versions that answered before and do not now. */
function Former(props: { counts: Record<string, number>; now: readonly Deployment[] }) {
  const { feedback: _, ...answers } = props.counts;
  const now = new Set(props.now.map((one) => `${one.model} ${one.role}`));
  const rows = Object.entries(answers)
    .filter(([who]) => !now.has(who))
    .sort(([one], [other]) => other.localeCompare(one, "en", { numeric: true }));
  if (rows.length === 0) return null;
  return (
    <Card title="Answered before" flush>
      <Table
        label="Versions that answered before"
        rows={rows}
        id={([who]) => who}
        columns={[
          { title: "Version", wide: true, show: ([who]) => <RefLink to={who.split(" ")[0]!} /> },
          { title: "Role", show: ([who]) => <State of={who.split(" ")[1]!} /> },
          { title: "Rows logged", numeric: true, show: ([, count]) => figure(count) },
        ]}
      />
    </Card>
  );
}

export function NoVersion() {
  return <Empty title="Nothing known of the live version">This registry does not have it, so its signature is not known here.</Empty>;
}
