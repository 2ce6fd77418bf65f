/** What a thing was made from, and what was made from it. */
import type { LineageView } from "../api-types";
import { Show, useResource } from "../api/resource";
import { Empty, Page } from "../design/page";
import { knownRefs } from "../loop/live";
import { hasPage, hrefOf, parseRef, traceHref } from "../nav/refs";
import { navigate, query, setQuery } from "../nav/router";
import { plural } from "../text/format";
import { OpenCrowd, thingsIn } from "./crowd";
import { LineageGraph } from "./lineage-graph";

/** Two steps show a thing among its neighbours; thirty-two show everything that a workspace of some size has. */
const DEPTHS = ["1", "2", "4", "8", "32"];

export function LineagePage() {
  const ref = query.value.get("ref");
  return (
    <Page title="Lineage" aside={<Search />}>
      {ref === null ? <Choose /> : <Lineage of={ref} />}
    </Page>
  );
}

function Lineage(props: { of: string }) {
  const depth = query.value.get("depth") ?? DEPTHS[1]!;
  const lineage = useResource<LineageView>(`/lineage?ref=${encodeURIComponent(props.of)}&depth=${depth}`);
  return (
    <Show of={lineage}>
      {(view) => (
        <div class="stack">
          <p class="quiet">
            {parseRef(props.of)?.kind} <strong class="mono">{props.of.slice(props.of.indexOf(":") + 1)}</strong> ·{" "}
            {plural(thingsIn(view), "thing")} · earlier to the left ·{" "}
            {hasPage(props.of) && (
              <>
                <a class="ref" href={hrefOf(props.of)}>
                  its page
                </a>{" "}
                ·{" "}
              </>
            )}
            <a class="ref" href={traceHref(props.of)}>
              its trace
            </a>
          </p>
          <LineageGraph view={view} />
          <OpenCrowd view={view} />
        </div>
      )}
    </Show>
  );
}

/** How many steps away things may be. */
function Depth() {
  return (
    <label>
      steps
      <select
        class="input"
        value={query.value.get("depth") ?? DEPTHS[1]!}
        onChange={(change) => setQuery({ depth: change.currentTarget.value })}
      >
        {DEPTHS.map((depth) => (
          <option key={depth} value={depth}>
            {depth}
          </option>
        ))}
      </select>
    </label>
  );
}

function Search() {
  const go = (submit: Event) => {
    submit.preventDefault();
    const box = (submit.currentTarget as HTMLFormElement).elements.namedItem("of") as HTMLInputElement;
    navigate(`/lineage?ref=${encodeURIComponent(box.value.trim())}`);
  };
  return (
    <form class="filters" role="search" onSubmit={go}>
      <input
        key={query.value.get("ref")}
        class="input mono"
        name="of"
        list="known-refs"
        size={34}
        required
        placeholder="dataset:name@1"
        aria-label="Ref whose lineage to show"
        value={query.value.get("ref") ?? ""}
        spellcheck={false}
      />
      <Depth />
      <button class="button">Show</button>
    </form>
  );
}

function Choose() {
  const refs = knownRefs.value.filter((ref) => /^(dataset|run|model|endpoint|verdict|labels):/.test(ref)).slice(0, 8);
  return (
    <Empty title="Whose lineage?">
      <p>Name a thing by its Ref, or take one that was spoken of last.</p>
      <ul class="choices">
        {refs.map((ref) => (
          <li key={ref}>
            <a class="ref" href={`/lineage?ref=${encodeURIComponent(ref)}`}>
              {ref}
            </a>
          </li>
        ))}
      </ul>
    </Empty>
  );
}
