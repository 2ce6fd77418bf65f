/** A link to the thing a Ref names. */
import { hrefOf, parseRef, shortRef } from "../nav/refs";

export function RefLink(props: { to: string; withKind?: boolean }) {
  const kind = parseRef(props.to)?.kind;
  return (
    <a class="ref" href={hrefOf(props.to)} title={props.to}>
      {props.withKind && kind && <span class="ref-kind">{kind}</span>}
      {shortRef(props.to)}
    </a>
  );
}
