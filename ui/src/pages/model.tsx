/** One model: its versions, what the gate said of each, where its aliases pointed and why, and its card. */
import type { AliasMove, Column, ModelDetail, ModelVersion, Verdict } from "../api-types";
import { pathOf } from "../api/client";
import { Show, useResource } from "../api/resource";
import { Badge, State } from "../design/badge";
import { Icon } from "../design/icon";
import { Card, Empty, Facts, Page } from "../design/page";
import { RefLink, RefText, RefTools } from "../design/ref-link";
import { RowLink, Table } from "../design/table";
import { Tabs } from "../design/tabs";
import { traceHref } from "../nav/refs";
import { query } from "../nav/router";
import { bytes, figure, inline, plural } from "../text/format";
import { Markdown } from "../text/markdown";
import { Time } from "../text/time";
import { Aliases, Scores } from "./models";
import { Deploy } from "./model-deploy";
import { Engines } from "./model-engines";
import { Nearby } from "./steps";
import { Verdicts } from "./verdicts";

export function ModelPage(props: { name: string }) {
  const detail = useResource<ModelDetail>(`/models/${pathOf(props.name)}`, ["model.", "gate."]);
  return (
    <Page
      title={props.name}
      above={<a href="/models">Models</a>}
      about={
        detail.data && (
          <>
            <Aliases of={detail.data.aliases} />
            <span>{plural(detail.data.versions.length, "version")}</span>
          </>
        )
      }
      aside={detail.data && <Tools detail={detail.data} />}
    >
      <Show of={detail}>{(found) => <Body detail={found} />}</Show>
    </Page>
  );
}

function Tools(props: { detail: ModelDetail }) {
  const version = chosen(props.detail);
  return version ? <RefTools of={refOf(version)} /> : null;
}

function Body(props: { detail: ModelDetail }) {
  const { detail } = props;
  const version = chosen(detail);
  return (
    <Tabs
      tabs={[
        {
          id: "versions",
          title: "Versions",
          count: detail.versions.length,
          show: () => (
            <div class="stack">
              <Versions detail={detail} chosen={version} />
              {version && <Nearby key={version.version} of={refOf(version)} />}
              {version && <VersionFacts version={version} aliases={aliasesOf(detail, version)} />}
            </div>
          ),
        },
        { id: "gate", title: "Gate", count: detail.verdicts.length, show: () => <Verdicts of={detail.verdicts} /> },
        { id: "aliases", title: "Aliases", count: detail.moves.length, show: () => <Moves of={detail.moves} model={detail.name} /> },
        {
          id: "card",
          title: "Card",
          show: () => (
            <Card>{detail.card ? <Markdown text={detail.card} /> : <Empty title="No card">This version has none.</Empty>}</Card>
          ),
        },
      ]}
    />
  );
}

/** The version that the address names, by number or alias; else the newest. */
function chosen(detail: ModelDetail): ModelVersion | undefined {
  const wanted = query.value.get("version");
  const number = wanted === null ? undefined : (detail.aliases[wanted] ?? Number(wanted));
  return detail.versions.find((version) => version.version === number) ?? detail.versions[0];
}

function Versions(props: { detail: ModelDetail; chosen: ModelVersion | undefined }) {
  const { detail } = props;
  const verdictsOf = (version: ModelVersion) => detail.verdicts.filter((one) => one.candidate === refOf(version));
  return (
    <Card flush>
      <Table
        label="Versions"
        rows={detail.versions}
        id={(version) => String(version.version)}
        columns={[
          {
            title: "Version",
            show: (version) => (
              <RowLink href={`?version=${version.version}`}>
                {version === props.chosen ? "▸ " : ""}@{version.version}
              </RowLink>
            ),
          },
          { title: "Aliases", show: (version) => <Aliases of={aliasesOf(detail, version)} /> },
          { title: "Judged", show: (version) => <Judged by={verdictsOf(version)[0]} /> },
          {
            title: "Why",
            wide: true,
            extra: true,
            show: (version) => <span class="quiet">{verdictsOf(version)[0]?.reason ?? ""}</span>,
          },
          { title: "Metrics", extra: true, show: (version) => <Scores of={version.metrics} /> },
          { title: "Run", extra: true, show: (version) => (version.run ? <RefLink to={`run:${version.run}`} /> : "–") },
          { title: "Registered", numeric: true, show: (version) => <Time at={version.created_at} /> },
        ]}
      />
    </Card>
  );
}

function refOf(version: ModelVersion): string {
  return `model:${version.model}@${version.version}`;
}

function aliasesOf(detail: ModelDetail, version: ModelVersion): Record<string, number> {
  return Object.fromEntries(Object.entries(detail.aliases).filter(([, number]) => number === version.version));
}

/** How far a version came: the last stage that judged it, and how that came out. */
function Judged(props: { by: Verdict | undefined }) {
  if (props.by === undefined) return <span class="faint">not judged</span>;
  return (
    <>
      <State of={props.by.passed ? "passed" : "refused"} /> <span class="faint">{props.by.stage}</span>
    </>
  );
}

function VersionFacts(props: { version: ModelVersion; aliases: Record<string, number> }) {
  const { version, aliases } = props;
  const size = version.files.reduce((sum, file) => sum + file.size_bytes, 0);
  return (
    <div class="grid">
      <Card title={`Version ${version.version}`} aside={<Aliases of={aliases} />}>
        <Facts
          of={[
            ["made with", version.flavor],
            ["served by", version.engine],
            ["package", `${plural(version.files.length, "file")}, ${bytes(size)}`],
            ...Object.entries(version.metrics).map(([name, value]) => [name, figure(value)] as const),
            ...Object.entries(version.facts).filter(([name]) => name !== "engines").map(([name, value]) => [name.replaceAll("_", " "), inline(value)] as const),
            ...Object.entries(version.tags).map(([name, value]) => [name.replaceAll("_", " "), <RefText text={value} />] as const),
          ]}
        />
        <Deploy version={version} />
      </Card>
      <Engines version={version} />
      <Card title="Takes" aside={plural(version.signature.inputs.length, "column")}>
        <Facts of={version.signature.inputs.map(described)} />
      </Card>
      <Card title="Gives">
        <Facts of={version.signature.outputs.map(described)} />
      </Card>
    </div>
  );
}

function described(column: Column): [string, string] {
  return [column.name, [column.type, column.unit, column.nullable ? "may be missing" : ""].filter(Boolean).join(", ")];
}

function Moves(props: { of: readonly AliasMove[]; model: string }) {
  if (props.of.length === 0) return <Empty title="No aliases yet">An alias is a name that moves between versions.</Empty>;
  const version = (number: number | null) => number !== null && <RefLink to={`model:${props.model}@${number}`} />;
  return (
    <Card>
      <ol class="timeline">
        {props.of.map((move) => (
          <li key={move.time + move.alias} class="move">
            <Badge tone="model">{move.alias}</Badge>
            <span class="move-way">
              {version(move.previous)}
              {move.previous !== null && <Icon name="arrow" size={14} />}
              {move.version === null ? "removed" : version(move.version)}
            </span>
            <span class="quiet">
              {move.reason}
              {move.verdict && (
                <>
                  {" · "}
                  <a class="ref" href={traceHref(`verdict:${move.verdict}`)}>
                    the verdict
                  </a>
                </>
              )}
            </span>
            <span class="faint">
              <Time at={move.time} />
            </span>
          </li>
        ))}
      </ol>
    </Card>
  );
}
