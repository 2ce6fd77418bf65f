/** A graph of lineage as the server laid it out; moved by dragging, wheel with Ctrl, buttons, or the arrow keys. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { GraphEdge, GraphNode, LineageView } from "../api-types";
import { Icon } from "../design/icon";
import { glyphOf, loopOf } from "../design/kinds";
import { lineageHref, shortId } from "../nav/refs";
import { crowdHref, isCrowd } from "./crowd";
import "./lineage.css";

const RADIUS = 17;
/** Half the room a thing takes with its words. */
const HALF = { width: 66, height: 36 };
const MARGIN = 20;
const STEP = 60;
const ZOOM = 1.25;
/** How large a small graph gets; how small a large one may get before it opens on the thing itself; how large then. */
const SCALE = { largest: 1.25, smallest: 0.68, opened: 0.9 };
/** A graph is at least so high, and at most so much of the window. */
const HEIGHT = { least: 256, share: 0.72 };

interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export function LineageGraph(props: { view: LineageView }) {
  const { view } = props;
  const svg = useRef<SVGSVGElement>(null);
  const whole = {
    x: -HALF.width - MARGIN,
    y: -HALF.height - MARGIN - liftOf(view),
    width: view.width + 2 * HALF.width + 2 * MARGIN,
    height: view.height + 2 * HALF.height + 2 * MARGIN + liftOf(view),
  };
  const seen = useSignal<Box>(whole);
  const drag = useRef<{ x: number; y: number } | null>(null);

  useEffect(() => {
    seen.value = start(whole, view, svg.current);
  }, [view.ref, view.width, view.height]);

  const scale = () => seen.value.width / (svg.current?.clientWidth || 1);
  const move = (dx: number, dy: number) => {
    seen.value = { ...seen.value, x: seen.value.x + dx, y: seen.value.y + dy };
  };
  const zoom = (by: number) => {
    const { x, y, width, height } = seen.value;
    const next = { width: width / by, height: height / by };
    seen.value = { x: x + (width - next.width) / 2, y: y + (height - next.height) / 2, ...next };
  };
  const actions: Record<string, () => void> = {
    ArrowLeft: () => move(-STEP * scale(), 0),
    ArrowRight: () => move(STEP * scale(), 0),
    ArrowUp: () => move(0, -STEP * scale()),
    ArrowDown: () => move(0, STEP * scale()),
    "+": () => zoom(ZOOM),
    "-": () => zoom(1 / ZOOM),
    "0": () => {
      seen.value = whole;
    },
  };
  const { x, y, width, height } = seen.value;
  const tallest = Math.round(innerHeight * HEIGHT.share);
  const places = new Map(view.nodes.map((node) => [node.ref, node]));

  return (
    <div class="graph">
      <svg
        ref={svg}
        style={{ height: `${Math.min(tallest, Math.max(HEIGHT.least, whole.height))}px` }}
        viewBox={`${x} ${y} ${width} ${height}`}
        tabindex={0}
        role="group"
        aria-label={`Lineage of ${view.ref}. Arrow keys move, plus and minus zoom, 0 shows all.`}
        onKeyDown={(press) => {
          const action = actions[press.key];
          if (action === undefined) return;
          press.preventDefault();
          action();
        }}
        onWheel={(wheel) => {
          if (!wheel.ctrlKey && !wheel.metaKey) return;
          wheel.preventDefault();
          zoom(wheel.deltaY < 0 ? ZOOM : 1 / ZOOM);
        }}
        onPointerDown={(press) => {
          drag.current = { x: press.clientX, y: press.clientY };
        }}
        onPointerMove={(pointer) => {
          if (drag.current === null) return;
          move((drag.current.x - pointer.clientX) * scale(), (drag.current.y - pointer.clientY) * scale());
          drag.current = { x: pointer.clientX, y: pointer.clientY };
        }}
        onPointerUp={() => {
          drag.current = null;
        }}
        onPointerLeave={() => {
          drag.current = null;
        }}
      >
        <defs>
          {["", "-near"].map((name) => (
            <marker key={name} id={`tip${name}`} class={`tip${name}`} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
              <path d="M1 1 7 4 1 7" />
            </marker>
          ))}
        </defs>
        {view.edges.map((edge) => (
          <EdgeLine key={edge.source + edge.target + edge.relation} edge={edge} places={places} centre={view.ref} />
        ))}
        {view.nodes.map((node) => (
          <NodeMark key={node.ref} node={node} isCentre={node.ref === view.ref} />
        ))}
      </svg>
      <div class="graph-tools">
        <button type="button" class="icon-button" aria-label="Zoom in" onClick={actions["+"]}>
          <Icon name="plus" />
        </button>
        <button type="button" class="icon-button" aria-label="Zoom out" onClick={actions["-"]}>
          <Icon name="minus" />
        </button>
        <button type="button" class="icon-button" aria-label="Show all" onClick={actions["0"]}>
          <Icon name="fit" />
        </button>
      </div>
    </div>
  );
}

/** Show all if it stays legible; else show the thing itself and what is around it. */
function start(whole: Box, view: LineageView, svg: SVGSVGElement | null): Box {
  const room = { width: svg?.clientWidth || 1, height: svg?.clientHeight || 1 };
  const scale = Math.min(room.width / whole.width, room.height / whole.height, SCALE.largest);
  if (scale >= SCALE.smallest) return around(whole.x + whole.width / 2, whole.y + whole.height / 2, room, scale);
  const centre = view.nodes.find((node) => node.ref === view.ref) ?? { x: 0, y: 0 };
  const box = around(centre.x, centre.y, room, SCALE.opened);
  // Near an end of the graph there is no use for empty room beyond it.
  return { ...box, x: within(box.x, whole.x, whole.width - box.width), y: within(box.y, whole.y, whole.height - box.height) };
}

function around(x: number, y: number, room: { width: number; height: number }, scale: number): Box {
  const width = room.width / scale;
  const height = room.height / scale;
  return { x: x - width / 2, y: y - height / 2, width, height };
}

/** A place between the first and the last that shows no room beyond; the middle where all fits. */
function within(at: number, first: number, slack: number): number {
  return slack < 0 ? first + slack / 2 : Math.min(Math.max(at, first), first + slack);
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
