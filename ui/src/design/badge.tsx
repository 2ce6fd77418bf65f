/** A state or a role in one word, told by colour and by the word. */
import type { ComponentChildren } from "preact";

export type Tone = "good" | "warn" | "bad" | "model" | "software" | "plain";

const TONES: Record<string, Tone> = {
  running: "model",
  finished: "good",
  failed: "bad",
  killed: "warn",
  live: "software",
  canary: "warn",
  shadow: "plain",
  passed: "good",
  refused: "bad",
  champion: "model",
  firing: "bad",
  quiet: "good",
  open: "bad",
  closed: "plain",
  executed: "model",
  reused: "good",
};

export function Badge(props: { tone?: Tone; children: ComponentChildren }) {
  return <span class={`badge badge-${props.tone ?? "plain"}`}>{props.children}</span>;
}

/** A badge whose tone follows from its word. */
export function State(props: { of: string }) {
  return (
    <Badge tone={TONES[props.of] ?? "plain"}>
      <i class={`dot${props.of === "running" ? " dot-breathing" : ""}`} />
      {props.of}
    </Badge>
  );
}
