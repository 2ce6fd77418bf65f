/** Links to the things that Refs name. */
import type { ComponentChildren } from "preact";
import { hrefOf, lineageHref, parseRef, shortRef, traceHref } from "../nav/refs";

export function RefLink(props: { to: string; withKind?: boolean }) {
  const kind = parseRef(props.to)?.kind;
  return (
    <a class="ref" href={hrefOf(props.to)} title={props.to}>
      {props.withKind && kind && <span class="ref-kind">{`${kind} `}</span>}
      {shortRef(props.to)}
    </a>
  );
}

const REF_IN_TEXT =
  /\b(?:alert|artifact|dataset|deployment|endpoint|feature|labels|model|monitor|prediction|report|run|verdict):[\w./-]*\w(?:@\w+)?/g;

/** Text as it is, with the Refs in it as links. */
export function RefText(props: { text: string }) {
  const parts: ComponentChildren[] = [];
  let done = 0;
  for (const match of props.text.matchAll(REF_IN_TEXT)) {
    parts.push(props.text.slice(done, match.index), <RefLink to={match[0]} withKind={!match[0].includes("@")} />);
    done = match.index + match[0].length;
  }
  return (
    <>
      {parts}
      {props.text.slice(done)}
    </>
  );
}

/** The two ways to follow a thing: told step by step, and drawn. */
export function RefTools(props: { of: string }) {
  return (
    <>
      <a class="button" href={traceHref(props.of)}>
        Trace
      </a>
      <a class="button" href={lineageHref(props.of)}>
        Lineage
      </a>
    </>
  );
}
