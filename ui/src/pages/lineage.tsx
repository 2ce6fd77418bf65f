/** What a thing was made from, and what was made from it. */
import type { LineageView } from "../api-types";
import { Show, useResource } from "../api/resource";
import { Empty, Page } from "../design/page";
import { knownRefs } from "../loop/live";
import { hrefOf, parseRef } from "../nav/refs";
import { navigate, query, setQuery } from "../nav/router";
import { plural } from "../text/format";
import { LineageGraph } from "./lineage-graph";

/** Two steps show a thing among its neighbours; twelve show everything that a workspace of some size has. */
const DEPTHS = ["1", "2", "4", "12"];

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
  const kind = parseRef(props.of)?.kind;
  const ownPage = hrefOf(props.of);
  return (
    <Show of={lineage}>
      {(view) => (
        <div class="stack">
          <p class="quiet">
            {kind} <strong class="mono">{props.of.slice(props.of.indexOf(":") + 1)}</strong> ·{" "}
            {plural(view.nodes.length, "thing")}, {plural(view.edges.length, "step")} · earlier to the left
            {!ownPage.startsWith("/lineage") && (
              <>
                {" "}
                ·{" "}
                <a class="ref" href={ownPage}>
                  its page
                </a>
              </>
            )}
          </p>
          <LineageGraph view={view} />
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
