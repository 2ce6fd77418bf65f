/** Show one logged thing, by its kind. */
import { useSignal } from "@preact/signals";
import type { ArtifactEntry, MediaEntry } from "../api-types";
import { pathOf, read } from "../api/client";
import { ProblemView } from "../design/problem";
import { contentsOf, textOf, useContents, useShown } from "./contents";
import { FileTable } from "./file-table";
import { Frame } from "./frame";
import { Distribution } from "./histogram";
import { Points } from "./points";

const PLOTLY = /<script[^>]*\bsrc=["']plotly\.min\.js["'][^>]*>\s*<\/script>/i;

interface ViewerProps {
  run: string;
  kind: string;
  /** What it shows, in words. */
  label: string;
  entry: MediaEntry;
}

export function Viewer(props: ViewerProps) {
  const [first, ...others] = props.entry.files;
  if (first === undefined) return <p class="quiet">Its file is no longer there.</p>;
  const key = first.digest;
  switch (props.kind) {
    case "table":
      return <FileTable key={key} run={props.run} path={first.path} label={props.label} rows={10} />;
    case "histogram":
      return <Distribution file={first} label={props.label} />;
    case "points3d":
      return <Points key={key} file={first} label={props.label} />;
    case "html":
      return <Html key={key} file={first} label={props.label} />;
    case "text":
      return <Text key={key} file={first} />;
    case "figure":
      if (first.path.endsWith(".html")) return <Plotly key={key} run={props.run} file={first} label={props.label} />;
      if (first.path.endsWith(".json")) return <Text key={key} file={first} />;
      return <Shown file={first} label={props.label} />;
    default:
      return others.length > 0 ? (
        <div class="media-many">
          {props.entry.files.map((file, at) => (
            <Shown key={file.digest} file={file} label={`${props.label}, ${at + 1} of ${props.entry.files.length}`} />
          ))}
        </div>
      ) : (
        <Shown file={first} label={props.label} />
      );
  }
}

/** A picture, a sound or a film, whichever the bytes are. */
export function Shown(props: { file: ArtifactEntry; label: string }) {
  const { data, problem } = useShown(props.file);
  if (problem) return <ProblemView problem={problem} />;
  if (data === null) return <div class="media-waits" />;
  if (data.form === "sound") return <audio class="media-sound" controls src={data.url} aria-label={props.label} />;
  if (data.form === "film") return <video class="media-picture" controls loop src={data.url} aria-label={props.label} />;
  return <img class="media-picture" src={data.url} alt={props.label} />;
}

export function Html(props: { file: ArtifactEntry; label: string }) {
  const { data, problem } = useContents(props.file, textOf);
  if (problem) return <ProblemView problem={problem} />;
  return data === null ? <div class="media-waits" /> : <Frame html={data} label={props.label} />;
}

function Text(props: { file: ArtifactEntry }) {
  const { data, problem } = useContents(props.file, textOf);
  if (problem) return <ProblemView problem={problem} />;
  return data === null ? <div class="media-waits" /> : <pre class="media-text" tabIndex={0}>{data}</pre>;
}

/** A plotly figure is a program; it runs when asked, in a frame that can reach nothing. */
function Plotly(props: { run: string; file: ArtifactEntry; label: string }) {
  const page = useSignal<string | null>(null);
  const failed = useSignal("");
  const run = async () => {
    try {
      const html = textOf(await contentsOf(props.file));
      const script = PLOTLY.test(html) ? await plotly(props.run, props.file) : "";
      page.value = html.replace(PLOTLY, () => script);
    } catch (failure) {
      failed.value = failure instanceof Error ? failure.message : "it cannot be read";
    }
  };
  if (page.value !== null) return <Frame html={page.value} label={props.label} moving />;
  return (
    <div class="media-asks">
      <button type="button" class="button" onClick={() => void run()}>
        Draw the figure
      </button>
      <p class="faint">{failed.value || "It is drawn by a script that was logged with it, in a frame that can reach nothing."}</p>
    </div>
  );
}

async function plotly(run: string, file: ArtifactEntry): Promise<string> {
  const folder = file.path.slice(0, file.path.lastIndexOf("/"));
  const listed = await read<{ files: ArtifactEntry[] }>(
    `/runs/${pathOf(run)}/files?under=${encodeURIComponent(folder)}&after=${encodeURIComponent(`${folder}/plotly`)}&limit=10`,
  );
  const script = listed.files.find((one) => one.path === `${folder}/plotly.min.js`);
  if (script === undefined) throw new Error("its script was not logged with it");
  const text = textOf(await contentsOf(script)).replaceAll("</script", "<\\/script");
  return `<script>${text}</script>`;
}
