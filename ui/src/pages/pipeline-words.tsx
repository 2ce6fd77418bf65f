/** How a step call stands, in a word and a sign, and what a reason says without the word before it. */
import { RefText } from "../design/ref-link";
import { duration, plural } from "../text/format";

const SIGNS: Record<string, string> = {
  finished: "✓",
  reused: "↺",
  failed: "✗",
  killed: "✗",
  cancelled: "✗",
  running: "▶",
  skipped: "–",
  waiting: "…",
};

export function signOf(status: string): string {
  return SIGNS[status] ?? "?";
}

/** Where a run stands, and where a call does: a call that finished was executed, for another may be reused. */
export function wordOf(status: string): string {
  return status === "finished" ? "executed" : status;
}

/** The class that colours a status; the sign and the word say the same. */
export function toneOf(status: string): string {
  return `st st-${status}`;
}

export function Sign(props: { of: string }) {
  return (
    <span class={`sign ${toneOf(props.of)}`} aria-hidden="true">
      {signOf(props.of)}
    </span>
  );
}

/** Names of code and inputs stand between backticks, runs by their id. */
export function Why(props: { text: string }) {
  const parts = props.text.replace(/\brun ([0-9A-Z]{26})\b/g, "run:$1").split("`");
  return <span class="why">{parts.map((part, at) => (at % 2 === 1 ? <code key={at}>{part}</code> : <RefText key={at} text={part} />))}</span>;
}

/** `500 calls, 1.2 s`, as far as there is something to say. */
export function extentOf(calls: number, seconds: number): string {
  return [calls > 1 && plural(calls, "call"), seconds >= 0.0005 && duration(seconds)].filter(Boolean).join(", ");
}

export function runHref(pipeline: string, run: string, node?: number): string {
  const query = node === undefined ? "" : `?node=${node}`;
  return `/pipelines/${encodeURIComponent(pipeline)}/runs/${encodeURIComponent(run)}${query}`;
}

export function pipelineHref(name: string): string {
  return `/pipelines/${encodeURIComponent(name)}`;
}
