/** Code to read and to copy; a diff gets its added and removed lines marked. */
import { useSignal } from "@preact/signals";
import { Icon } from "./icon";

const SHOWN_MS = 1_500;

export function Code(props: { text: string; label?: string; diff?: boolean }) {
  const copied = useSignal(false);
  const copy = async () => {
    await navigator.clipboard.writeText(props.text);
    copied.value = true;
    setTimeout(() => {
      copied.value = false;
    }, SHOWN_MS);
  };
  return (
    <figure class="code">
      {props.label && <figcaption>{props.label}</figcaption>}
      <pre tabIndex={0}>{props.diff ? <DiffLines text={props.text} /> : props.text}</pre>
      {isSecureContext && (
        <button type="button" class="icon-button code-copy" onClick={() => void copy()} aria-label="Copy">
          <Icon name={copied.value ? "check" : "copy"} />
        </button>
      )}
    </figure>
  );
}

function DiffLines(props: { text: string }) {
  return (
    <>
      {props.text.trimEnd().split("\n").map((line) => (
        <span class={diffClass(line)}>{`${line}\n`}</span>
      ))}
    </>
  );
}

function diffClass(line: string): string {
  if (line.startsWith("+++") || line.startsWith("---") || line.startsWith("diff ")) return "diff-file";
  if (line.startsWith("+")) return "diff-added";
  if (line.startsWith("-")) return "diff-removed";
  return line.startsWith("@@") ? "diff-place" : "";
}
