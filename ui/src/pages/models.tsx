/** Registered models: the newest version of each, and where its aliases point. */
import type { ModelSummary } from "../api-types";
import { pathOf } from "../api/client";
import { Show, useResource } from "../api/resource";
import { Badge } from "../design/badge";
import { Code } from "../design/code";
import { Card, Empty, Page } from "../design/page";
import { RowLink, Table } from "../design/table";
import { figure } from "../text/format";
import { Time } from "../text/time";

export function Models() {
  const models = useResource<ModelSummary[]>("/models", ["model."]);
  return (
    <Page title="Models">
      <Show of={models}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty title="No models yet">
              <p>A registered model has a signature, an example, a card and its lineage.</p>
              <Code text={'il.deploy(model, example=X[:5], name="first")'} />
            </Empty>
          ) : (
            <Card flush>
              <Table
                label="Models"
                rows={rows}
                id={(model) => model.name}
                columns={[
                  {
                    title: "Model",
                    wide: true,
                    show: (model) => <RowLink href={`/models/${pathOf(model.name)}`}>{model.name}</RowLink>,
                  },
                  { title: "Aliases", show: (model) => <Aliases of={model.aliases} /> },
                  { title: "Newest", numeric: true, extra: true, show: (model) => `@${model.newest.version}` },
                  { title: "Metrics", extra: true, show: (model) => <Scores of={model.newest.metrics} /> },
                  { title: "Served by", extra: true, show: (model) => model.newest.engine },
                  { title: "Registered", numeric: true, extra: true, show: (model) => <Time at={model.newest.created_at} /> },
                ]}
              />
            </Card>
          )
        }
      </Show>
    </Page>
  );
}

export function Aliases(props: { of: Record<string, number> }) {
  return (
    <span class="badges">
      {Object.entries(props.of).map(([alias, version]) => (
        <Badge key={alias} tone="model">
          {alias} → {version}
        </Badge>
      ))}
    </span>
  );
}

export function Scores(props: { of: Record<string, number | null> }) {
  const scores = Object.entries(props.of).slice(0, 2);
  return <span class="number">{scores.map(([name, value]) => `${name} ${figure(value)}`).join(" · ") || "–"}</span>;
}
