/** Experiments in the folders that the slashes in their names make; a folder is read when it is opened. */
import { useSignal } from "@preact/signals";
import type { ExperimentLevel, ExperimentRow, Folder } from "../api-types";
import { Show, useResource } from "../api/resource";
import { Code } from "../design/code";
import { Icon } from "../design/icon";
import { Card, Empty, Page } from "../design/page";
import { query, setQuery } from "../nav/router";
import { plural } from "../text/format";
import { Time } from "../text/time";
import "./experiments.css";

const TYPING_MS = 250;

export function Experiments() {
  const match = query.value.get("match") ?? "";
  const under = query.value.get("under") ?? "";
  const first = useResource<ExperimentLevel>(levelPath(match ? "" : under, match), ["experiment.", "run."]);
  return (
    <Page
      title="Experiments"
      above={<a href="/runs">Runs</a>}
      about={under && !match ? <Crumbs of={under} /> : first.data && <span>{plural(first.data.total, "experiment")}</span>}
      aside={<Search text={match} />}
    >
      <Show of={first}>
        {(level) =>
          level.total === 0 ? (
            <None match={match} under={under} />
          ) : (
            <Card flush>
              <Level level={level} match={match} depth={0} />
            </Card>
          )
        }
      </Show>
    </Page>
  );
}

function levelPath(under: string, match: string, after = ""): string {
  return `/experiments/level?${new URLSearchParams({ under, match, after })}`;
}

function Search(props: { text: string }) {
  const waiting = useSignal<ReturnType<typeof setTimeout> | undefined>(undefined);
  return (
    <input
      class="input"
      type="search"
      aria-label="Find an experiment"
      placeholder="Find an experiment"
      value={props.text}
      onInput={(change) => {
        const text = change.currentTarget.value;
        clearTimeout(waiting.value);
        waiting.value = setTimeout(() => setQuery({ match: text.trim() }), TYPING_MS);
      }}
    />
  );
}

function Crumbs(props: { of: string }) {
  const parts = props.of.split("/");
  return (
    <>
      <a class="ref" href="/experiments">
        All
      </a>
      {parts.map((part, at) => (
        <span key={at} class="crumb">
          <span class="faint">/</span>{" "}
          <a class="ref" href={`/experiments?under=${encodeURIComponent(parts.slice(0, at + 1).join("/"))}`}>
            {part}
          </a>
        </span>
      ))}
      <a class="ref" href={runsHref({ folder: props.of })}>
        its runs
      </a>
    </>
  );
}

function Level(props: { level: ExperimentLevel; match: string; depth: number }) {
  const { level, match, depth } = props;
  const more = useSignal(false);
  return (
    <>
      <ul class="folders">
        {level.folders.map((folder) => (
          <Branch key={folder.path} of={folder} under={level.under} depth={depth} />
        ))}
        {level.experiments.map((row) => (
          <Leaf key={row.experiment.id} of={row} under={match ? "" : level.under} depth={depth} />
        ))}
      </ul>
      {level.after !== null &&
        (more.value ? (
          <Further under={level.under} match={match} after={level.after} depth={depth} />
        ) : (
          <button type="button" class="link folders-more" onClick={() => (more.value = true)}>
            Further experiments
          </button>
        ))}
    </>
  );
}

function Further(props: { under: string; match: string; after: string; depth: number }) {
  const found = useResource<ExperimentLevel>(levelPath(props.under, props.match, props.after));
  return <Show of={found}>{(level) => <Level level={{ ...level, folders: [] }} match={props.match} depth={props.depth} />}</Show>;
}

function Branch(props: { of: Folder; under: string; depth: number }) {
  const { of, under, depth } = props;
  const open = useSignal(false);
  const level = useResource<ExperimentLevel>(open.value ? levelPath(of.path, "") : null, ["experiment."]);
  return (
    <li>
      <div class="folder-line" style={{ paddingLeft: `${depth * 1.25 + 0.75}rem` }}>
        <button type="button" class="folder-open" aria-expanded={open.value} onClick={() => (open.value = !open.value)}>
          <Icon name="chevron" size={14} />
          <strong>{within(of.path, under)}</strong>
          <span class="tab-count">{plural(of.experiments, "experiment")}</span>
        </button>
        <a class="ref folder-runs" href={runsHref({ folder: of.path })} aria-label={`Runs in ${of.path}`}>
          all runs
        </a>
      </div>
      {open.value && <Show of={level}>{(found) => <Level level={found} match="" depth={depth + 1} />}</Show>}
    </li>
  );
}

function Leaf(props: { of: ExperimentRow; under: string; depth: number }) {
  const { experiment, runs, newest_at } = props.of;
  return (
    <li class="folder-line folder-leaf" style={{ paddingLeft: `${props.depth * 1.25 + 0.75}rem` }}>
      <a class="row-link" href={runsHref({ experiment: experiment.name })}>
        <Icon name="runs" size={14} />
        <span>{within(experiment.name, props.under)}</span>
      </a>
      <span class="faint number">{plural(runs, "run")}</span>
      <span class="faint number folder-when">{newest_at ? <Time at={newest_at} /> : "–"}</span>
    </li>
  );
}

function within(name: string, under: string): string {
  return under ? name.slice(under.length + 1) : name;
}

function runsHref(where: Record<string, string>): string {
  return `/runs?${new URLSearchParams(where)}`;
}

function None(props: { match: string; under: string }) {
  if (props.match)
    return (
      <Empty title="No experiment is called that">
        <button type="button" class="button" onClick={() => setQuery({ match: "" })}>
          Show all
        </button>
      </Empty>
    );
  if (props.under)
    return (
      <Empty title="This folder is empty">
        <a class="button" href="/experiments">
          Show all
        </a>
      </Empty>
    );
  return (
    <Empty title="No experiments yet">
      <p>Every run belongs to one; a slash in its name puts it into a folder.</p>
      <Code text={'with il.run("vision/resnet/first") as run:\n    run.log_metrics({"auc": 0.7})'} />
    </Empty>
  );
}
