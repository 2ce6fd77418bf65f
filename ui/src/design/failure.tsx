/** Why something failed: the last line of its traceback says it, the rest is there to be opened. */
import { Code } from "./code";

export function Failure(props: { text: string; class: string; heading: "h2" | "h3" }) {
  const { heading: Heading } = props;
  const lines = props.text.trim().split("\n");
  return (
    <section class={props.class} aria-label="Why it failed">
      <Heading>{lines.at(-1)}</Heading>
      {lines.length > 1 && (
        <details>
          <summary>Traceback</summary>
          <Code text={props.text} />
        </details>
      )}
    </section>
  );
}
