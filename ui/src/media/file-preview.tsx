/** The beginning of a stored file, shown as what it is; nothing in it runs. */
import type { ArtifactEntry, FileHead } from "../api-types";
import { download } from "../api/download";
import { Show, useResource } from "../api/resource";
import { Code } from "../design/code";
import { Diff } from "../design/diff";
import { Empty } from "../design/page";
import { bytes } from "../text/format";
import { Markdown } from "../text/markdown";
import { FileTable, headPath } from "./file-table";
import { Frame } from "./frame";
import { Points } from "./points";
import { Shown } from "./viewers";
import "./media.css";

export function fileName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

export function FilePreview(props: { run: string; path: string }) {
  const head = useResource<FileHead>(headPath(props.run, props.path, 1));
  return (
    <Show of={head}>
      {(found) => (
        <>
          <header class="file-head">
            <h2 class="mono">{props.path}</h2>
            <p class="faint number">
              {bytes(found.file.size_bytes)} · <span class="mono">{found.file.digest.slice(0, 15)}…</span>
            </p>
            <SaveButton of={found.file} />
          </header>
          <Body run={props.run} of={found} />
        </>
      )}
    </Show>
  );
}

export function SaveButton(props: { of: ArtifactEntry }) {
  return (
    <button type="button" class="button" onClick={() => void download(props.of.digest, fileName(props.of.path))}>
      Download
    </button>
  );
}

function Body(props: { run: string; of: FileHead }) {
  const { file, kind, text, is_whole, why } = props.of;
  if (kind === "table") return <FileTable key={file.path} run={props.run} path={file.path} label={file.path} />;
  if (kind === "media")
    return file.path.endsWith(".ply") ? <Points file={file} label={file.path} /> : <Shown file={file} label={file.path} />;
  if (kind === "html") return <Frame html={text} label={file.path} />;
  if (kind === "binary")
    return (
      <Empty title="Nothing to show">
        <p>{why ? `${why.charAt(0).toUpperCase()}${why.slice(1)}.` : "It is no text."} It can be downloaded.</p>
      </Empty>
    );
  if (file.size_bytes === 0) return <p class="quiet">The file is empty.</p>;
  return (
    <>
      {file.path.endsWith(".md") ? <Markdown text={text} /> : /\.(diff|patch)$/.test(file.path) ? <Diff text={text} /> : <Code text={kind === "json" && is_whole ? pretty(text) : text} />}
      {!is_whole && <p class="quiet">The beginning of {bytes(file.size_bytes)}; download the file to see the rest.</p>}
    </>
  );
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
