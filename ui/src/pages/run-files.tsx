/** The files of a run as a tree, and the one that is chosen beside it. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { ArtifactEntry, RunDetail, RunFiles } from "../api-types";
import { pathOf } from "../api/client";
import { Show, useResource } from "../api/resource";
import { Icon } from "../design/icon";
import { Card, Empty } from "../design/page";
import { FilePreview, fileName } from "../media/file-preview";
import { query, setQuery } from "../nav/router";
import { bytes, plural } from "../text/format";
import "./run.css";

export function Files(props: { detail: RunDetail }) {
  const { run, files } = props.detail;
  const chosen = query.value.get("file");
  const preview = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (chosen && matchMedia("(max-width: 60rem)").matches) preview.current?.scrollIntoView({ block: "start" });
  }, [chosen]);
  if (files.files === 0) return <Empty title="No artifacts">This run kept no files.</Empty>;
  return (
    <div class="columns columns-left">
      <Card title={plural(files.files, "file")} aside={bytes(files.size_bytes)}>
        <Folder run={run.id} under="" isGrowing={run.status === "running"} />
      </Card>
      <div ref={preview} class="file-beside">
        {chosen ? (
          <Card>
            <FilePreview key={chosen} run={run.id} path={chosen} />
          </Card>
        ) : (
          <Empty title="Choose a file">Texts, tables, JSON, pictures, sound and pages are shown here; all can be downloaded.</Empty>
        )}
      </div>
    </div>
  );
}

function Folder(props: { run: string; under: string; isGrowing: boolean; after?: string }) {
  const asked = new URLSearchParams({ under: props.under, after: props.after ?? "" });
  const listed = useResource<RunFiles>(`/runs/${pathOf(props.run)}/files?${asked}`, [], props.isGrowing);
  const more = useSignal(false);
  return (
    <Show of={listed}>
      {({ folders, files, after }) => (
        <>
          <ul class="tree">
            {!props.after && folders.map((folder) => <Branch key={folder.path} of={folder} run={props.run} isGrowing={props.isGrowing} />)}
            {files.map((file) => (
              <Leaf key={file.path} of={file} />
            ))}
          </ul>
          {after !== null &&
            (more.value ? (
              <Folder {...props} after={after} />
            ) : (
              <button type="button" class="link tree-more" onClick={() => (more.value = true)}>
                Further files
              </button>
            ))}
        </>
      )}
    </Show>
  );
}

function Branch(props: { of: { path: string; files: number; size_bytes: number }; run: string; isGrowing: boolean }) {
  const { of } = props;
  const open = useSignal((query.value.get("file") ?? "").startsWith(`${of.path}/`));
  return (
    <li>
      <button type="button" class="tree-line" aria-expanded={open.value} onClick={() => (open.value = !open.value)}>
        <Icon name="chevron" size={12} />
        <strong>{fileName(of.path)}</strong>
        <span class="faint number">{plural(of.files, "file")}</span>
      </button>
      {open.value && <Folder run={props.run} under={of.path} isGrowing={props.isGrowing} />}
    </li>
  );
}

function Leaf(props: { of: ArtifactEntry }) {
  const { of } = props;
  return (
    <li>
      <button
        type="button"
        class="tree-line"
        aria-label={of.path}
        aria-current={query.value.get("file") === of.path ? "true" : undefined}
        onClick={() => setQuery({ file: of.path })}
      >
        <Icon name="file" size={14} />
        <span class="tree-name">{fileName(of.path)}</span>
        <span class="faint number">{bytes(of.size_bytes)}</span>
      </button>
    </li>
  );
}
