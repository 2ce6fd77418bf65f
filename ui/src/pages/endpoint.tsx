/** One endpoint: how it does, who answers, what it answers now, and every way to ask it. */
import type { Endpoint, EndpointDetail } from "../api-types";
import { pathOf } from "../api/client";
import { Show, useResource } from "../api/resource";
import { ShareBar } from "../charts/small";
import { Card, Page } from "../design/page";
import { RefText, RefTools } from "../design/ref-link";
import { Tabs } from "../design/tabs";
import { shortRef } from "../nav/refs";
import { Time } from "../text/time";
import { Calls } from "./endpoint-call";
import { Tail } from "./endpoint-tail";
import { Traffic } from "./endpoint-traffic";
import { TryIt } from "./endpoint-try";
import { Versions } from "./endpoint-versions";

const FRESH = ["endpoint.", "feedback.", "prediction."];

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
  const { detail } = props;
  const { endpoint, history } = detail;
  return (
    <Tabs
      tabs={[
        { id: "traffic", title: "Traffic", show: () => <Traffic detail={detail} /> },
        { id: "versions", title: "Versions", count: endpoint.deployments.length, show: () => <Versions detail={detail} /> },
        { id: "predictions", title: "Live predictions", show: () => <Tail name={endpoint.name} /> },
        { id: "try", title: "Try it", show: () => <TryIt detail={detail} /> },
        { id: "call", title: "Call it", show: () => <Calls detail={detail} /> },
        { id: "routing", title: "Routing", count: history.length, show: () => <Routing history={history} /> },
      ]}
    />
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
