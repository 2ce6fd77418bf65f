/** One endpoint: who answers, how that came about, how to call it, and what it answered last. */
import type { Endpoint, EndpointDetail, ModelVersion, PredictionRow } from "../api-types";
import { pathOf } from "../api/client";
import { Show, useResource } from "../api/resource";
import { ShareBar } from "../charts/small";
import { Badge, State } from "../design/badge";
import { Code } from "../design/code";
import { Card, Empty, Page } from "../design/page";
import { RefLink, RefText, RefTools } from "../design/ref-link";
import { RowLink, Table } from "../design/table";
import { Tabs } from "../design/tabs";
import { shortId, shortRef } from "../nav/refs";
import { day, figure, inline, percent } from "../text/format";
import { Time } from "../text/time";

const FRESH = ["endpoint.", "feedback.", "prediction."];

/** What the Open Inference Protocol calls our column types. */
const OIP_TYPES: Record<string, string> = {
  boolean: "BOOL",
  long: "INT64",
  double: "FP64",
  string: "BYTES",
  datetime: "BYTES",
  binary: "BYTES",
};

export function EndpointPage(props: { name: string }) {
  const detail = useResource<EndpointDetail>(`/endpoints/${pathOf(props.name)}`, FRESH);
  const endpoint = detail.data?.endpoint;
  return (
    <Page
      title={props.name}
      above={<a href="/endpoints">Endpoints</a>}
      about={
        endpoint && (
          <>
            <span>revision {endpoint.revision}</span>
            <span>
              routed <Time at={endpoint.changed_at} />
            </span>
            <span>
              <RefText text={endpoint.reason} />
            </span>
          </>
        )
      }
      aside={<RefTools of={`endpoint:${props.name}`} />}
    >
      <Show of={detail}>{(found) => <Body detail={found} />}</Show>
    </Page>
  );
}

function Body(props: { detail: EndpointDetail }) {
  const { endpoint, history, counts, recent, versions } = props.detail;
  return (
    <>
      <Card title="Who answers">
        <ShareBar deployments={endpoint.deployments} />
      </Card>
      <Tabs
        tabs={[
          {
            id: "predictions",
            title: "Recent predictions",
            show: () => (
              <div class="columns">
                <Card flush>
                  <Predictions rows={recent} />
                </Card>
                <Counts of={counts} />
              </div>
            ),
          },
          { id: "routing", title: "Routing", count: history.length, show: () => <Routing history={history} /> },
          { id: "call", title: "Call it", show: () => <Calls endpoint={endpoint} versions={versions} recent={recent} /> },
        ]}
      />
    </>
  );
}

export function Predictions(props: { rows: readonly PredictionRow[] }) {
  if (props.rows.length === 0)
    return <Empty title="Nothing asked yet">Each answer is logged with an id; its truth is joined when it arrives.</Empty>;
  const outputs = Object.keys(props.rows[0]!.outputs);
  return (
    <Table
      label="Recent predictions"
      rows={props.rows}
      id={(row) => `${row.id} ${row.model}`}
      columns={[
        {
          title: "Prediction",
          wide: true,
          show: (row) => <RowLink href={`/predictions/${pathOf(row.id)}`}>{shortId(row.id)}</RowLink>,
        },
        { title: "Answered by", extra: true, show: (row) => <RefLink to={row.model} /> },
        { title: "Role", extra: true, show: (row) => <State of={row.role} /> },
        ...outputs.map((name) => ({
          title: name,
          numeric: true,
          show: (row: PredictionRow) => inline(row.outputs[name]),
        })),
        { title: "Truth", numeric: true, show: (row) => <Truth of={row} /> },
        { title: "About", numeric: true, extra: true, show: (row) => day(row.event_time) },
      ]}
    />
  );
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

const ROLES = ["live", "canary", "shadow"];

/** How often each version answered in each role; the counts come as `model:name@1 live`. */
function Counts(props: { of: Record<string, number> }) {
  const { feedback = 0, ...answers } = props.of;
  const models = new Map<string, Record<string, number>>();
  for (const [who, count] of Object.entries(answers)) {
    const [model = "", role = ""] = who.split(" ");
    models.set(model, { ...models.get(model), [role]: count });
  }
  const rows = [...models].sort(([one], [other]) => other.localeCompare(one, "en", { numeric: true }));
  const seen = rows.reduce((sum, [, { live = 0, canary = 0 }]) => sum + live + canary, 0);
  return (
    <Card
      title="Answers so far"
      aside={seen > 0 ? `${figure(feedback)} truths, ${percent(feedback / seen)}` : `${figure(feedback)} truths`}
      flush
    >
      <Table
        label="Answers by version and role"
        rows={rows}
        id={([model]) => model}
        columns={[
          { title: "Version", show: ([model]) => <RefLink to={model} /> },
          ...ROLES.map((role) => ({
            title: role,
            numeric: true,
            show: ([, counts]: [string, Record<string, number>]) => (
              counts[role] === undefined ? <span class="faint">–</span> : figure(counts[role])
            ),
          })),
        ]}
      />
    </Card>
  );
}

function Routing(props: { history: readonly Endpoint[] }) {
  return (
    <Card>
      <ol class="timeline">
        {props.history.map((then) => (
          <li key={then.revision} class="routing">
            <strong>Revision {then.revision}</strong>
            <ShareBar deployments={then.deployments} />
            <span class="quiet">{inShort(then)}</span>
            <span class="faint">
              <Time at={then.changed_at} />
            </span>
          </li>
        ))}
      </ol>
    </Card>
  );
}

/** The reason of a routing, with Refs as people say them. */
function inShort(then: Endpoint): string {
  return then.reason.replace(/\bmodel:[\w./@-]+/g, shortRef);
}

function Calls(props: { endpoint: Endpoint; versions: readonly ModelVersion[]; recent: readonly PredictionRow[] }) {
  const live = props.endpoint.deployments.find((one) => one.role === "live");
  const version = props.versions.find((one) => `model:${one.model}@${one.version}` === live?.model);
  const last = props.recent[0];
  const inputs = (version?.signature.inputs ?? []).map((column) => ({
    name: column.name,
    shape: [1],
    datatype: OIP_TYPES[column.type],
    data: [last?.inputs[column.name] ?? null],
  }));
  const body = `{"id": "my-row-1", "inputs": [\n  ${inputs.map(spaced).join(",\n  ")}\n]}`;
  const address = `${location.origin}/v2/models/${pathOf(props.endpoint.name)}`;
  const truth = [{ prediction_id: last?.id ?? "my-row-1", truth: last?.truth ?? 1 }];
  return (
    <div class="stack">
      <Card title="Ask" aside="Open Inference Protocol v2">
        <Code text={curl(`${address}/infer`, body)} />
      </Card>
      <Card title="Tell the truth later" aside="by the id of the prediction">
        <Code text={curl(`${address}/feedback`, spaced(truth))} />
      </Card>
    </div>
  );
}

/** A command for a POSIX shell. */
function curl(address: string, body: string): string {
  const quoted = `'${body.replaceAll("'", "'\\''")}'`;
  return `curl ${address} \\\n  -H 'content-type: application/json' \\\n  -d ${quoted}`;
}

/** JSON on one line, with room to read it. */
function spaced(value: unknown): string {
  return JSON.stringify(value, null, 1).replace(/\n\s*/g, " ").replace(/([[{]) /g, "$1").replace(/ ([\]}])/g, "$1");
}
