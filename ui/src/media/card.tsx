/** One key of logged media at the chosen step; pictures also as a grid of all steps. */
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { MediaEntry, MediaKey, MediaPage } from "../api-types";
import { pathOf } from "../api/client";
import { download } from "../api/download";
import { useResource } from "../api/resource";
import { Icon } from "../design/icon";
import { ProblemView } from "../design/problem";
import { bytes, duration, figure, plural } from "../text/format";
import { useSeen } from "./seen";
import { itemAt } from "./steps";
import { Shown, Viewer } from "./viewers";

const PAGE = 50;
const GRID = 24;
const PICTURES = new Set(["image", "figure", "video"]);
const WORDS: Record<string, string> = { points3d: "points in space", html: "HTML" };

interface MediaCardProps {
  run: string;
  of: MediaKey;
  step: number;
  /** Show another step, when a picture of it is chosen. */
  choose?: (step: number) => void;
  /** What to call it instead of its key. */
  title?: string;
}

export function MediaCard(props: MediaCardProps) {
  const { of } = props;
  const place = useRef<HTMLElement>(null);
  const seen = useSeen(place);
  const grid = useSignal(false);
  const wide = useSignal(of.kind === "table");
  const isPicture = PICTURES.has(of.kind) && of.steps.length > 1;
  return (
    <article ref={place} class={`card media-card${wide.value || grid.value ? " media-wide" : ""}`} aria-label={props.title ?? of.key}>
      <header class="media-head">
        <div>
          <h2 title={of.key}>{props.title ?? of.key}</h2>
          <p class="faint">{[WORDS[of.kind] ?? of.kind, of.steps.length > 1 && plural(of.steps.length, "step")].filter(Boolean).join(" · ")}</p>
        </div>
        <div class="media-tools">
          {isPicture && (
            <button type="button" class="button" aria-pressed={grid.value} onClick={() => (grid.value = !grid.value)}>
              {grid.value ? "One step" : "All steps"}
            </button>
          )}
          {!grid.value && (
            <button
              type="button"
              class="icon-button media-widen"
              aria-label={wide.value ? "Make it small" : "Make it large"}
              aria-pressed={wide.value}
              onClick={() => (wide.value = !wide.value)}
            >
              <Icon name={wide.value ? "minus" : "fit"} />
            </button>
          )}
        </div>
      </header>
      {seen ? (
        grid.value ? (
          <Grid {...props} />
        ) : (
          <One {...props} />
        )
      ) : (
        <div class="media-body">
          <div class="media-waits" />
        </div>
      )}
    </article>
  );
}

function itemsPath(run: string, of: MediaKey, start: number, limit: number): string {
  return `/runs/${pathOf(run)}/media/${pathOf(of.kind)}/${pathOf(of.key)}?start=${start}&limit=${limit}`;
}

function One(props: MediaCardProps) {
  const { of, step } = props;
  const at = itemAt(of.steps, step);
  const start = at === null ? null : at - (at % PAGE);
  const page = useResource<MediaPage>(start === null ? null : itemsPath(props.run, of, start, PAGE));
  if (at === null)
    return <p class="media-body quiet">Nothing yet at this step; the first is at step {figure(of.steps[0] ?? 0)}.</p>;
  const entry = page.data?.entries[at - start!];
  return (
    <>
      <div class="media-body">
        {page.problem && <ProblemView problem={page.problem} />}
        {entry ? <Viewer run={props.run} kind={of.kind} label={labelOf(of, entry)} entry={entry} /> : page.data === null && <div class="media-waits" />}
      </div>
      {entry && <Foot of={of} entry={entry} step={step} />}
    </>
  );
}

function labelOf(of: MediaKey, entry: MediaEntry): string {
  return `${of.key} at step ${figure(entry.step)}${entry.caption && `: ${entry.caption}`}`;
}

function Foot(props: { of: MediaKey; entry: MediaEntry; step: number }) {
  const { entry } = props;
  const size = entry.files.reduce((sum, file) => sum + file.size_bytes, 0);
  const first = entry.files[0];
  return (
    <footer class="media-foot">
      {entry.caption && <p class="media-caption">{entry.caption}</p>}
      <p class="faint number">
        <span class={entry.step === props.step ? "" : "media-other"}>step {figure(entry.step)}</span>
        {[...factsOf(entry.facts), bytes(size)].map((fact) => (
          <span key={fact}>{fact}</span>
        ))}
        {first && (
          <button
            type="button"
            class="link"
            aria-label={`Download ${first.path}`}
            onClick={() => void download(first.digest, first.path.slice(first.path.lastIndexOf("/") + 1))}
          >
            Download
          </button>
        )}
      </p>
    </footer>
  );
}

function factsOf(facts: Record<string, unknown>): string[] {
  const number = (name: string): number | null => (typeof facts[name] === "number" ? (facts[name] as number) : null);
  const [seconds, rate, frames, rows, points, count] = ["seconds", "rate", "frames", "rows", "points", "count"].map(number);
  return [
    seconds != null && duration(seconds),
    rate != null && `${figure(rate)} Hz`,
    frames != null && plural(frames, "frame"),
    rows != null && plural(rows, "row"),
    points != null && plural(points, "point"),
    count != null && plural(count, "picture"),
  ].filter((fact) => typeof fact === "string");
}

/** Every step at once, a page of them at a time; a click shows that step everywhere. */
function Grid(props: MediaCardProps) {
  const pages = useSignal(1);
  const { of } = props;
  const total = of.steps.length;
  return (
    <div class="media-body">
      <ul class="media-grid">
        {Array.from({ length: Math.min(pages.value, Math.ceil(total / GRID)) }, (_, page) => (
          <GridPage key={page} {...props} start={page * GRID} />
        ))}
      </ul>
      {pages.value * GRID < total && (
        <button type="button" class="button" onClick={() => (pages.value += 1)}>
          Show more of {plural(total, "step")}
        </button>
      )}
    </div>
  );
}

function GridPage(props: MediaCardProps & { start: number }) {
  const { data, problem } = useResource<MediaPage>(itemsPath(props.run, props.of, props.start, GRID));
  if (problem) return <ProblemView problem={problem} />;
  return (
    <>
      {data?.entries.map((entry) => (
        <Tile key={`${entry.step} ${entry.time}`} of={props.of} entry={entry} isHere={entry.step === props.step} choose={props.choose} />
      ))}
    </>
  );
}

function Tile(props: { of: MediaKey; entry: MediaEntry; isHere: boolean; choose: ((step: number) => void) | undefined }) {
  const place = useRef<HTMLLIElement>(null);
  const seen = useSeen(place);
  const { entry } = props;
  const picture = entry.files.find((file) => !/\.(html|json)$/.test(file.path));
  return (
    <li ref={place}>
      <button
        type="button"
        class="media-tile"
        aria-current={props.isHere ? "step" : undefined}
        aria-label={`Show step ${figure(entry.step)}`}
        onClick={() => props.choose?.(entry.step)}
      >
        {seen && picture ? <Shown file={picture} label={labelOf(props.of, entry)} /> : <span class="media-waits" />}
        <span class="number">{figure(entry.step)}</span>
      </button>
    </li>
  );
}
