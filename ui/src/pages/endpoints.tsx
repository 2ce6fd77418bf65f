/** Endpoints, and what answers behind each. */
import type { Endpoint } from "../api-types";
import { pathOf } from "../api/client";
import { Show, useResource } from "../api/resource";
import { ShareBar } from "../charts/small";
import { Code } from "../design/code";
import { Card, Empty, Page } from "../design/page";
import { RefLink } from "../design/ref-link";
import { RowLink, Table } from "../design/table";
import { Time } from "../text/time";

export function Endpoints() {
  const endpoints = useResource<Endpoint[]>("/endpoints", ["endpoint."]);
  return (
    <Page title="Endpoints">
      <Show of={endpoints}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty title="No endpoints yet">
              <p>An endpoint is a stable address; the versions behind it come and go.</p>
              <Code text={'endpoint = il.deploy(model, example=X[:5], name="first")\nendpoint.predict(X[:1])'} />
            </Empty>
          ) : (
            <Card flush>
              <Table
                label="Endpoints"
                rows={rows}
                id={(endpoint) => endpoint.name}
                columns={[
                  {
                    title: "Endpoint",
                    show: (endpoint) => <RowLink href={`/endpoints/${pathOf(endpoint.name)}`}>{endpoint.name}</RowLink>,
                  },
                  { title: "Live", show: (endpoint) => <LiveModel of={endpoint} /> },
                  { title: "Traffic", extra: true, show: (endpoint) => <ShareBar deployments={endpoint.deployments} compact /> },
                  { title: "Why", wide: true, extra: true, show: (endpoint) => endpoint.reason },
                  { title: "Routed", numeric: true, show: (endpoint) => <Time at={endpoint.changed_at} /> },
                ]}
              />
            </Card>
          )
        }
      </Show>
    </Page>
  );
}

function LiveModel(props: { of: Endpoint }) {
  const live = props.of.deployments.find((one) => one.role === "live");
  return live ? <RefLink to={live.model} /> : <>–</>;
}
