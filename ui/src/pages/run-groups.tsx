/** Runs that differ by seed alone, as groups: the mean of a metric with its interval, best first. */
import type { Group, RunKeys } from "../api-types";
import { Show, useResource } from "../api/resource";
import { Card, Empty } from "../design/page";
import { Table } from "../design/table";
import { setQuery } from "../nav/router";
import { figure, inline } from "../text/format";

export function RunGroups(props: { experiment: string; metric: string; filter: string }) {
  const asked = new URLSearchParams({ experiment: props.experiment, metric: props.metric });
  if (props.filter) asked.set("filter", props.filter);
  const groups = useResource<Group[]>(`/runs/groups?${asked}`, ["run."]);
  const keys = useResource<RunKeys>(`/runs/keys?experiment=${encodeURIComponent(props.experiment)}`).data;
  const metrics = keys?.metrics.includes(props.metric) ? keys.metrics : [props.metric];
  return (
    <>
      <div class="run-tools">
        <label class="check">
          metric
          <select class="input" value={props.metric} onChange={(change) => setQuery({ group: change.currentTarget.value })}>
            {metrics.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <button type="button" class="button" onClick={() => setQuery({ group: "" })}>
          Back to single runs
        </button>
      </div>
      <Show of={groups}>
        {(found) =>
          found.length === 0 ? (
            <Empty title="Nothing to group">This experiment has no such runs.</Empty>
          ) : (
            <Card flush>
              <GroupTable groups={found} metric={props.metric} />
            </Card>
          )
        }
      </Show>
    </>
  );
}

function GroupTable(props: { groups: readonly Group[]; metric: string }) {
  const known = props.groups.flatMap((group) => [...group.values, group.low, group.high]).filter((value) => value !== null);
  const range: [number, number] = [Math.min(...known), Math.max(...known)];
  return (
    <Table
      label={`Groups by ${props.metric}`}
      rows={props.groups}
      id={(group) => group.runs[0] ?? ""}
      columns={[
        {
          title: "Settings",
          wide: true,
          show: (group) =>
            Object.entries(group.settings)
              .map(([name, value]) => `${name} ${inline(value)}`)
              .join(" · ") || "all the same",
        },
        { title: "Runs", numeric: true, show: (group) => group.runs.length },
        { title: "Mean", numeric: true, show: (group) => figure(group.mean) },
        {
          title: "95 % interval",
          extra: true,
          show: (group) => <Interval of={group} range={range} />,
        },
        { title: "Spread", numeric: true, extra: true, show: (group) => (group.spread === null ? "–" : figure(group.spread)) },
      ]}
    />
  );
}

/** The interval as a bar, the mean and the single values as dots, on the scale of all groups. */
function Interval(props: { of: Group; range: [number, number] }) {
  const { of, range } = props;
  const at = (value: number) => `${((value - range[0]) / (range[1] - range[0] || 1)) * 100}%`;
  const words =
    of.low === null || of.high === null ? "one value has no interval" : `${figure(of.low)} to ${figure(of.high)}`;
  return (
    <svg class="interval" role="img" aria-label={words}>
      <title>{words}</title>
      {of.low !== null && of.high !== null && <line x1={at(of.low)} x2={at(of.high)} y1="50%" y2="50%" />}
      {of.values
        .filter((value) => value !== null)
        .map((value, place) => (
        <circle key={place} cx={at(value)} cy="50%" r="3" class="interval-value" />
      ))}
      {of.mean !== null && <circle cx={at(of.mean)} cy="50%" r="5" />}
    </svg>
  );
}
