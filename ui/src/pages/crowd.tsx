/** Crowds in a lineage graph: many things of one kind in one node, whose Ref is all of theirs with spaces between. */
import type { GraphNode, LineageView } from "../api-types";
import { Card } from "../design/page";
import { lineageHref, shortRef } from "../nav/refs";
import { query } from "../nav/router";

export function membersOf(node: GraphNode): string[] {
  return node.ref.split(" ");
}

export function isCrowd(node: GraphNode): boolean {
  return node.ref.includes(" ");
}

/** How many things a graph shows, those in crowds too. */
export function thingsIn(view: LineageView): number {
  return view.nodes.reduce((sum, node) => sum + membersOf(node).length, 0);
}

/** The address at which a crowd is open; its first member stands for it. */
export function crowdHref(node: GraphNode): string {
  const open = new URLSearchParams(query.value);
  open.set("crowd", membersOf(node)[0]!);
  return `?${open}`;
}

/** Who is in the crowd that the address names. */
export function OpenCrowd(props: { view: LineageView }) {
  const named = query.value.get("crowd") ?? "";
  const crowd = props.view.nodes.find((node) => isCrowd(node) && membersOf(node).includes(named));
  if (crowd === undefined) return null;
  const members = membersOf(crowd).sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  return (
    <Card title={crowd.label} aside="each leads to its own lineage">
      <ul class="members">
        {members.map((ref) => (
          <li key={ref}>
            <a class="ref" href={lineageHref(ref)} title={ref}>
              {shortRef(ref)}
            </a>
          </li>
        ))}
      </ul>
    </Card>
  );
}
