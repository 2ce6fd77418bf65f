/** A graph of lineage as the server laid it out; moved by dragging, wheel with Ctrl, buttons, or the arrow keys. */
import { useEffect, useRef } from "preact/hooks";
import type { GraphEdge, GraphNode, LineageView } from "../api-types";
import { CanvasTools, opening, Tips, useCanvas } from "../design/canvas";
import { Icon } from "../design/icon";
import { glyphOf, loopOf } from "../design/kinds";
import { lineageHref, shortId } from "../nav/refs";
import { crowdHref, isCrowd } from "./crowd";
import "./lineage.css";

const RADIUS = 17;
/** Half the room a thing takes with its words. */
const HALF = { width: 66, height: 36 };
const MARGIN = 20;
const ZOOM = 1.25;
/** How large a small graph gets; how small a large one may get before it opens on the thing itself; how large then. */
const SCALE = { largest: 1.25, smallest: 0.68, opened: 0.9 };
/** A graph is at least so high, and at most so much of the window. */
const HEIGHT = { least: 256, share: 0.72 };

export function LineageGraph(props: { view: LineageView }) {
  const { view } = props;
  const svg = useRef<SVGSVGElement>(null);
  const whole = {
    x: -HALF.width - MARGIN,
    y: -HALF.height - MARGIN - liftOf(view),
    width: view.width + 2 * HALF.width + 2 * MARGIN,
    height: view.height + 2 * HALF.height + 2 * MARGIN + liftOf(view),
  };
  const { seen, room, actions, handlers } = useCanvas(svg, whole, () => whole, { by: ZOOM, slack: 0 });

  useEffect(() => {
    const centre = view.nodes.find((node) => node.ref === view.ref) ?? { x: 0, y: 0 };
    seen.value = opening(whole, centre, room(), SCALE);
  }, [view.ref, view.width, view.height]);

  const { x, y, width, height } = seen.value;
  const tallest = Math.round(innerHeight * HEIGHT.share);
  const places = new Map(view.nodes.map((node) => [node.ref, node]));

  return (
    <div class="canvas graph">
      <svg
        ref={svg}
        style={{ height: `${Math.min(tallest, Math.max(HEIGHT.least, whole.height))}px` }}
        viewBox={`${x} ${y} ${width} ${height}`}
        tabindex={0}
        role="group"
        aria-label={`Lineage of ${view.ref}. Arrow keys move, plus and minus zoom, 0 shows all.`}
        {...handlers}
      >
        <Tips name="tip" />
        {view.edges.map((edge) => (
          <EdgeLine key={edge.source + edge.target + edge.relation} edge={edge} places={places} centre={view.ref} />
        ))}
        {view.nodes.map((node) => (
          <NodeMark key={node.ref} node={node} isCentre={node.ref === view.ref} />
        ))}
      </svg>
      <CanvasTools actions={actions} />
    </div>
  );
}

function isBack(from: GraphNode, to: GraphNode): boolean {
  return to.x <= from.x;
}

/** How high above both ends an edge rises that closes a loop. */
function lift(from: GraphNode, to: GraphNode): number {
  return Math.min(90, 30 + 0.08 * (from.x - to.x));
}

/** The room that such edges need above everything else. */
function liftOf(view: LineageView): number {
  const places = new Map(view.nodes.map((node) => [node.ref, node]));
  const needed = view.edges.map((edge) => {
    const [from, to] = [places.get(edge.source), places.get(edge.target)];
    return from && to && isBack(from, to) ? lift(from, to) - Math.min(from.y, to.y) - HALF.height + RADIUS : 0;
  });
  return Math.max(0, ...needed);
}

function EdgeLine(props: { edge: GraphEdge; places: ReadonlyMap<string, GraphNode>; centre: string }) {
  const from = props.places.get(props.edge.source);
  const to = props.places.get(props.edge.target);
  if (from === undefined || to === undefined) return null;
  const isNear = props.edge.source === props.centre || props.edge.target === props.centre;
  const closes = isBack(from, to);
  return (
    <path
      class={`edge${isNear ? " edge-near" : ""}${closes ? " edge-back" : ""}`}
      d={closes ? overhead(from, to) : ahead(from, to)}
      marker-end={`url(#tip${isNear ? "-near" : ""})`}
    >
      <title>{props.edge.relation.replaceAll("_", " ")}</title>
    </path>
  );
}

function ahead(from: GraphNode, to: GraphNode): string {
  const x1 = from.x + RADIUS + 2;
  const x2 = to.x - RADIUS - 4;
  const bend = Math.max(24, (x2 - x1) / 2);
  return `M ${x1} ${from.y} C ${x1 + bend} ${from.y} ${x2 - bend} ${to.y} ${x2} ${to.y}`;
}

function overhead(from: GraphNode, to: GraphNode): string {
  const y1 = from.y - RADIUS - 2;
  const y2 = to.y - RADIUS - 4;
  const top = Math.min(from.y, to.y) - RADIUS - lift(from, to);
  return `M ${from.x} ${y1} C ${from.x} ${top} ${to.x} ${top} ${to.x} ${y2}`;
}

function NodeMark(props: { node: GraphNode; isCentre: boolean }) {
  const { node } = props;
  const crowd = isCrowd(node);
  const spoken = crowd ? node.label : node.ref;
  return (
    <a
      class={`node-mark node-${loopOf(node.kind)}${props.isCentre ? " node-centre" : ""}${crowd ? " node-crowd" : ""}`}
      href={crowd ? crowdHref(node) : lineageHref(node.ref)}
      aria-label={spoken}
      onFocus={(focus) => focus.currentTarget.scrollIntoView({ block: "nearest" })}
    >
      <title>{spoken}</title>
      <g transform={`translate(${node.x} ${node.y})`}>
        {crowd && <circle class="node-behind" cx="5" cy="-4" r={RADIUS} />}
        <circle r={RADIUS} />
        <g transform="translate(-9 -9)">
          <Icon name={glyphOf(node.kind)} size={18} />
        </g>
        <text y={RADIUS + 14}>{wordsOf(node)}</text>
      </g>
    </a>
  );
}

/** A name says what it is; an id needs its kind. */
function wordsOf(node: GraphNode): string {
  const short = shortId(node.label);
  const words = short === node.label ? short : `${node.kind} ${short}`;
  return words.length > 20 ? `${words.slice(0, 9)}…${words.slice(-10)}` : words;
}
