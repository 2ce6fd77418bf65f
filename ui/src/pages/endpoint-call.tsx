/** How to call an endpoint from outside, in the protocol and the client that one has. */
import type { EndpointDetail } from "../api-types";
import { pathOf } from "../api/client";
import { Code } from "../design/code";
import { Card } from "../design/page";
import { query, setQuery } from "../nav/router";
import { firstRow, inputsOf, liveVersion } from "./endpoint-rows";
import { NoVersion } from "./endpoint-versions";
import { curl, snippets, spaced } from "./endpoint-snippets";
import "./endpoint.css";

export function Calls(props: { detail: EndpointDetail }) {
  const { detail } = props;
  const version = liveVersion(detail);
  if (version === undefined) return <NoVersion />;
  const row = firstRow(detail);
  const offered = snippets({
    origin: location.origin,
    name: detail.endpoint.name,
    columns: version.signature.inputs,
    row,
    inputs: inputsOf(version.signature.inputs, row),
  });
  const chosen = offered.find((one) => one.id === query.value.get("as")) ?? offered[0]!;
  const last = detail.recent[0];
  const truth = [{ prediction_id: last?.id ?? "my-row-1", truth: last?.truth ?? 1 }];
  return (
    <div class="stack">
      <div class="pills" role="group" aria-label="Protocol and client">
        {offered.map((one) => (
          <button key={one.id} type="button" aria-pressed={one === chosen} onClick={() => setQuery({ as: one === offered[0] ? "" : one.id })}>
            {one.title}
          </button>
        ))}
      </div>
      <Card title="Ask" aside={chosen.protocol}>
        {chosen.needs && <p class="call-notes">{chosen.needs}</p>}
        <Code text={chosen.text} />
      </Card>
      <Card title="Tell the truth later" aside="by the id of the prediction">
        <Code text={curl(`${location.origin}/v2/models/${pathOf(detail.endpoint.name)}/feedback`, spaced(truth))} />
      </Card>
    </div>
  );
}
