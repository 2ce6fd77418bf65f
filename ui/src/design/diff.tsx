/** A patch, file by file, with how much each changes. */
import { plural } from "../text/format";
import { Code } from "./code";

/** So many changed lines are open at first; the files after them are named. */
const OPEN_LINES = 200;

interface FileDiff {
  name: string;
  text: string;
  added: number;
  removed: number;
}

export function Diff(props: { text: string }) {
  const files = filesOf(props.text);
  if (files.length === 0) return <p class="quiet">It changes nothing.</p>;
  let left = OPEN_LINES;
  const isOpen = (file: FileDiff) => (left -= file.added + file.removed) >= 0;
  return (
    <div class="diff-files">
      {files.length > 1 && <p class="quiet">{plural(files.length, "file")}</p>}
      {files.map((file, at) => (
        <details key={file.name + at} open={isOpen(file) || files.length === 1}>
          <summary>
            <span class="mono">{file.name}</span> <span class="diff-plus">+{file.added}</span>{" "}
            <span class="diff-minus">−{file.removed}</span>
          </summary>
          <Code text={file.text} diff />
        </details>
      ))}
    </div>
  );
}

function filesOf(patch: string): FileDiff[] {
  return patch
    .split(/^(?=diff --git )/m)
    .filter((part) => part.trim() !== "")
    .map((text) => {
      const name = /^\+\+\+ (?:b\/)?(.+)$/m.exec(text)?.[1];
      const old = /^--- (?:a\/)?(.+)$/m.exec(text)?.[1];
      return {
        name: (name === "/dev/null" ? old : name) ?? /^diff --git a\/(.+) b\//.exec(text)?.[1] ?? "patch",
        text,
        added: [...text.matchAll(/^\+(?!\+\+ )/gm)].length,
        removed: [...text.matchAll(/^-(?!-- )/gm)].length,
      };
    });
}
