/** Runs: searched in the grammar, ordered and paged by the server, in columns of choice, grouped by seed, chosen to be compared. */
import { useSignal } from "@preact/signals";
import type { RunKeys, RunPage } from "../api-types";
import { Show, useResource } from "../api/resource";
import { Code } from "../design/code";
import { Card, Empty, Page } from "../design/page";
import { query, setQuery } from "../nav/router";
import { plural } from "../text/format";
import { RunColumns } from "./run-columns";
import { storeColumns, storedColumns, usual } from "./run-fields";
import { RunGroups } from "./run-groups";
import { RunSearch } from "./run-search";
import { FoundRuns } from "./run-table";
import "./runs.css";

const PAGE = 50;
const MOST_COMPARED = 20;
const ANEW = { after: "" };

export function Runs() {
  const asked = query.value;
  const experiment = asked.get("experiment") ?? "";
  const text = asked.get("filter") ?? "";
  const metric = asked.get("group") ?? "";
  const folder = asked.get("folder") ?? "";
  const keys = useResource<RunKeys>(`/runs/keys${experiment ? `?experiment=${encodeURIComponent(experiment)}` : ""}`);
  return (
    <Page
      title="Runs"
      about={folder && !experiment && <Folder of={folder} />}
      aside={<Experiment of={experiment} names={keys.data?.experiments ?? []} />}
    >
      <RunSearch text={text} keys={keys.data} search={(filter) => setQuery({ filter, ...ANEW })} />
      {experiment && metric ? (
        <RunGroups experiment={experiment} metric={metric} filter={text} />
      ) : (
        <Found experiment={experiment} keys={keys.data} />
      )}
    </Page>
  );
}

function Found(props: { experiment: string; keys: RunKeys | null }) {
  const chosen = useSignal<ReadonlySet<string>>(new Set());
  const columns = useSignal(storedColumns(props.experiment));
  const of = useSignal(props.experiment);
  if (of.value !== props.experiment) {
    of.value = props.experiment;
    columns.value = storedColumns(props.experiment);
  }
  const asked = query.value;
  const order = asked.get("order") ?? "";
  const all = asked.has("all");
  const page = useResource<RunPage>(`/runs/search?${searchOf(asked)}`, ["run."]);
  const choose = (id: string) => {
    const next = new Set(chosen.value);
    if (!next.delete(id)) next.add(id);
    chosen.value = next;
  };
  const choices = columns.value ?? usual(page.data?.runs ?? []);
  return (
    <>
      <div class="run-tools">
        <label class="check">
          <input
            type="checkbox"
            checked={all}
            onChange={(change) => setQuery({ all: change.currentTarget.checked ? "yes" : "", ...ANEW })}
          />
          with steps and trials
        </label>
        {props.experiment && props.keys !== null && props.keys.metrics.length > 0 && (
          <button type="button" class="button" onClick={() => setQuery({ group: props.keys!.metrics[0]! })}>
            Group by seed
          </button>
        )}
        {props.keys !== null && (
          <RunColumns
            keys={props.keys}
            chosen={choices}
            isOwn={columns.value !== null}
            choose={(next) => {
              columns.value = next;
              storeColumns(props.experiment, next);
            }}
          />
        )}
        {chosen.value.size > 0 && <Compare chosen={chosen.value} clear={() => (chosen.value = new Set())} />}
      </div>
      <Show of={page}>
        {({ runs, after }) =>
          runs.length === 0 ? (
            <NoRuns />
          ) : (
            <Card flush>
              <FoundRuns
                runs={runs}
                columns={choices}
                order={order}
                setOrder={(next) => setQuery({ order: next, ...ANEW })}
                chosen={chosen.value}
                choose={choose}
              />
              <Pager after={after} isFirst={!asked.has("after")} />
            </Card>
          )
        }
      </Show>
    </>
  );
}

/** What to ask the server: what was typed and chosen; where nothing was, the runs that are part of no other. */
function searchOf(asked: URLSearchParams): URLSearchParams {
  const search = new URLSearchParams({ limit: String(PAGE) });
  for (const name of ["experiment", "folder", "order", "after"]) {
    const value = asked.get(name);
    if (value) search.set(name, value);
  }
  const typed = asked.get("filter") ?? "";
  const fixed = ["kind", "status"].flatMap((name) => {
    const value = asked.get(name);
    return value ? [`${name} = '${value.replaceAll("'", "")}'`] : [];
  });
  if (fixed.length === 0 && !typed && !asked.has("all")) fixed.push("parent IS NULL");
  // what is wrong with what was typed is told in its own words, without what was put around it
  const whole = fixed.length === 0 ? typed : [...(typed ? [`(${typed})`] : []), ...fixed].join(" AND ");
  if (whole) search.set("filter", whole);
  return search;
}

function Compare(props: { chosen: ReadonlySet<string>; clear: () => void }) {
  const ids = [...props.chosen].slice(0, MOST_COMPARED);
  return (
    <span class="chosen">
      {ids.length > 1 && (
        <a class="button button-main" href={`/compare?runs=${ids.map(encodeURIComponent).join(",")}`}>
          Compare {plural(ids.length, "run")}
        </a>
      )}
      <button type="button" class="button" onClick={props.clear}>
        {plural(props.chosen.size, "run")} chosen: clear
      </button>
    </span>
  );
}

function Experiment(props: { of: string; names: readonly string[] }) {
  const names = props.of && !props.names.includes(props.of) ? [props.of, ...props.names] : props.names;
  return (
    <div class="filters">
      <label>
        experiment
        <select
          class="input"
          value={props.of}
          onChange={(change) => setQuery({ experiment: change.currentTarget.value, folder: "", group: "", order: "", ...ANEW })}
        >
          <option value="">all</option>
          {names.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <a class="button" href="/experiments">
        Folders
      </a>
    </div>
  );
}

/** In which folder of experiments the search is, and the way out of it. */
function Folder(props: { of: string }) {
  return (
    <>
      <a class="ref" href={`/experiments?under=${encodeURIComponent(props.of)}`}>
        in {props.of}/
      </a>
      <button type="button" class="link" onClick={() => setQuery({ folder: "", ...ANEW })}>
        in all experiments
      </button>
    </>
  );
}

function Pager(props: { after: string | null; isFirst: boolean }) {
  if (props.isFirst && props.after === null) return null;
  return (
    <div class="pager">
      {!props.isFirst && (
        <button type="button" class="button" onClick={() => setQuery(ANEW)}>
          First
        </button>
      )}
      {props.after !== null && (
        <button type="button" class="button" onClick={() => setQuery({ after: props.after! })}>
          Next
        </button>
      )}
    </div>
  );
}

function NoRuns() {
  const asked = query.value;
  if (["filter", "experiment", "folder", "kind", "status"].some((name) => asked.has(name)))
    return (
      <Empty title="No run is like that">
        <button
          type="button"
          class="button"
          onClick={() => setQuery({ filter: "", experiment: "", folder: "", kind: "", status: "", order: "", ...ANEW })}
        >
          Show all runs
        </button>
      </Empty>
    );
  return (
    <Empty title="No runs yet">
      <p>Everything you train, tune or evaluate is recorded here, with its code and its libraries.</p>
      <Code text={'with il.run("first-steps") as run:\n    run.log_metrics({"auc": 0.7})'} />
    </Empty>
  );
}
