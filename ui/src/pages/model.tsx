/** One model: its versions, what the gate said of each, where its aliases pointed and why, and its card. */
import type { AliasMove, Column, ModelDetail, ModelVersion, Verdict } from "../api-types";
import { pathOf } from "../api/client";
import { Show, useResource } from "../api/resource";
import { Forest } from "../charts/forest";
import { Badge, State } from "../design/badge";
import { Card, Empty, Facts, Page } from "../design/page";
import { RefLink } from "../design/ref-link";
import { RowLink, Table } from "../design/table";
import { Tabs } from "../design/tabs";
import { lineageHref } from "../nav/refs";
import { query } from "../nav/router";
import { bytes, figure, inline, plural } from "../text/format";
import { Markdown } from "../text/markdown";
import { Time } from "../text/time";
import { Aliases, Scores } from "./models";

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
    >
      <Show of={detail}>{(found) => <Body detail={found} />}</Show>
    </Page>
  );
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
              {version && <VersionFacts version={version} />}
            </div>
          ),
        },
        { id: "gate", title: "Gate", count: detail.verdicts.length, show: () => <Verdicts of={detail.verdicts} /> },
        { id: "aliases", title: "Aliases", count: detail.moves.length, show: () => <Moves of={detail.moves} /> },
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
  const aliasesOf = (version: ModelVersion) =>
    Object.fromEntries(Object.entries(detail.aliases).filter(([, number]) => number === version.version));
  const verdictOf = (version: ModelVersion) => detail.verdicts.find((one) => one.candidate === refOf(version));
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
          { title: "Aliases", wide: true, show: (version) => <Aliases of={aliasesOf(version)} /> },
          { title: "Gate", show: (version) => <VerdictState of={verdictOf(version)} /> },
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

function VerdictState(props: { of: Verdict | undefined }) {
  if (props.of === undefined) return <span class="faint">not judged</span>;
  return <State of={props.of.passed ? "passed" : "refused"} />;
}

function VersionFacts(props: { version: ModelVersion }) {
  const { version } = props;
  const size = version.files.reduce((sum, file) => sum + file.size_bytes, 0);
  return (
    <div class="grid">
      <Card
        title={`Version ${version.version}`}
        aside={
          <a class="ref" href={lineageHref(refOf(version))}>
            Lineage
          </a>
        }
      >
        <Facts
          of={[
            ["made with", version.flavor],
            ["served by", version.engine],
            ["package", `${plural(version.files.length, "file")}, ${bytes(size)}`],
            ...Object.entries(version.metrics).map(([name, value]) => [name, figure(value)] as const),
            ...Object.entries(version.facts).map(([name, value]) => [name.replaceAll("_", " "), inline(value)] as const),
            ...Object.entries(version.tags),
          ]}
        />
      </Card>
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

function Verdicts(props: { of: readonly Verdict[] }) {
  if (props.of.length === 0)
    return (
      <Empty title="No verdicts yet">
        The gate compares a candidate with the champion on held-back data, overall and slice by slice, before it may answer.
      </Empty>
    );
  return (
    <div class="stack">
      {props.of.map((verdict) => (
        <Card
          key={verdict.id}
          title={`${verdict.candidate.replace("model:", "")} against ${verdict.champion?.replace("model:", "") ?? "nothing"}`}
          aside={
            <>
              <Badge>{verdict.stage}</Badge> <State of={verdict.passed ? "passed" : "refused"} />{" "}
              <Time at={verdict.created_at} />
            </>
          }
        >
          <p class="quiet verdict-reason">
            {verdict.reason}
            {verdict.data && (
              <>
                {" "}
                on <RefLink to={verdict.data} />
              </>
            )}
          </p>
          <Forest checks={verdict.checks} />
        </Card>
      ))}
    </div>
  );
}

function Moves(props: { of: readonly AliasMove[] }) {
  if (props.of.length === 0) return <Empty title="No aliases yet">An alias is a name that moves between versions.</Empty>;
  return (
    <Card>
      <ol class="timeline">
        {props.of.map((move) => (
          <li key={move.time + move.alias}>
            <p>
              <strong>{move.alias}</strong> {move.previous !== null && `from @${move.previous} `}
              {move.version === null ? "removed" : `to @${move.version}`}{" "}
              <span class="faint">
                <Time at={move.time} />
              </span>
            </p>
            <p class="quiet">{move.reason}</p>
          </li>
        ))}
      </ol>
    </Card>
  );
}
