/** What starts by itself: when, with what, and when next. */
import type { ScheduleRow } from "../api-types";
import { Badge } from "../design/badge";
import { Table } from "../design/table";
import { inline } from "../text/format";
import { Time } from "../text/time";
import { pipelineHref } from "./pipeline-words";

export function Schedules(props: { of: readonly ScheduleRow[]; label: string; withTarget?: boolean }) {
  return (
    <Table
      label={props.label}
      rows={props.of}
      id={(one) => one.name}
      columns={[
        { title: "Name", show: (one) => <strong>{one.name}</strong> },
        { title: "Starts", wide: true, show: (one) => <When of={one} /> },
        {
          title: "Next",
          show: (one) => (!one.is_enabled ? <Badge tone="warn">off</Badge> : one.next_at ? <Time at={one.next_at} /> : "at the event"),
        },
        ...(props.withTarget ? [{ title: "What", extra: true, show: What }] : []),
        { title: "With", extra: true, show: (one) => <span class="run-params mono">{givenTo(one)}</span> },
      ]}
    />
  );
}

function When(props: { of: ScheduleRow }) {
  const { cron, time_zone, on, where } = props.of;
  if (cron !== null)
    return (
      <>
        <code>{cron}</code> <span class="faint">{time_zone}</span>
      </>
    );
  const wanted = Object.entries(where).map(([key, value]) => `${key}=${inline(value)}`);
  return (
    <>
      on <code>{on}</code> {wanted.length > 0 && <span class="faint">where {wanted.join(", ")}</span>}
    </>
  );
}

function What(one: ScheduleRow) {
  if (one.pipeline === "") return one.action;
  return (
    <a class="ref" href={pipelineHref(one.pipeline)}>
      {one.target}
    </a>
  );
}

function givenTo(one: ScheduleRow): string {
  return Object.entries(one.arguments).map(([key, value]) => `${key}=${inline(value)}`).join(" ") || "–";
}
