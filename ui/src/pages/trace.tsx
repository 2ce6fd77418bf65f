/** One thing and its two ways, told step by step: what it was made from, and what came of it. */
import type { Trace } from "../api-types";
import { Show, useResource } from "../api/resource";
import { Card, Empty, Page } from "../design/page";
import { hasPage, hrefOf, lineageHref, parseRef, shortRef } from "../nav/refs";
import { query } from "../nav/router";
import { plural } from "../text/format";
import { Side, StepFacts } from "./steps";

export function TracePage() {
  const ref = query.value.get("ref");
  if (ref === null)
    return (
      <Page title="Trace">
        <Empty title="Whose trace?">
          Every thing has one: <a class="ref" href="/lineage">name it by its Ref</a>.
        </Empty>
      </Page>
    );
  return <TraceOf key={ref} of={ref} />;
}

function TraceOf(props: { of: string }) {
  const trace = useResource<Trace>(`/trace?ref=${encodeURIComponent(props.of)}`, ["feedback."]);
  return (
    <Page
      title={shortRef(props.of)}
      above={parseRef(props.of)?.kind ?? "Trace"}
      about={trace.data?.title}
      aside={
        <>
          {hasPage(props.of) && (
            <a class="button" href={hrefOf(props.of)}>
              Its page
            </a>
          )}
          <a class="button" href={lineageHref(props.of)}>
            Lineage
          </a>
        </>
      }
    >
      <Show of={trace}>{(found) => <Ways trace={found} />}</Show>
    </Page>
  );
}

function Ways(props: { trace: Trace }) {
  const { facts, back, forward } = props.trace;
  const both = back.length > 0 && forward.length > 0;
  return (
    <div class="stack">
      {Object.keys(facts).length > 0 && (
        <Card>
          <div class="trace-facts">
            <StepFacts of={facts} all />
          </div>
        </Card>
      )}
      <div class={both ? "halves" : "stack"}>
        <Card title="The way back" aside={plural(back.length, "step")}>
          <Side steps={back} direction="back" />
        </Card>
        <Card title="What came of it" aside={plural(forward.length, "step")}>
          <Side steps={forward} direction="forward" />
        </Card>
      </div>
    </div>
  );
}
