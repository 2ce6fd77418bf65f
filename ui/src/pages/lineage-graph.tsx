/** A graph of lineage as the server laid it out; moved by dragging, wheel with Ctrl, buttons, or the arrow keys. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { GraphEdge, GraphNode, LineageView } from "../api-types";
import { Icon, type IconName, isIcon } from "../design/icon";
import { lineageHref, shortId } from "../nav/refs";

const NODE = { width: 184, height: 44 };
const MARGIN = 24;
const STEP = 60;
const ZOOM = 1.25;

const GLYPHS: Record<string, IconName> = {
  dataset: "data",
  run: "runs",
  model: "registry",
  verdict: "gate",
  endpoint: "serve",
  deployment: "deploy",
  alert: "alert",
  report: "monitor",
  feature: "features",
  step: "pipeline",
  study: "tuning",
  trigger: "retrain",
};

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
    x: -NODE.width / 2 - MARGIN,
    y: -NODE.height / 2 - MARGIN,
    width: view.width + NODE.width + 2 * MARGIN,
    height: view.height + NODE.height + 2 * MARGIN,
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
  const places = new Map(view.nodes.map((node) => [node.ref, node]));

  return (
    <div class="graph">
      <svg
        ref={svg}
        style={{ height: `clamp(16rem, ${whole.height}px, min(38rem, 70vh))` }}
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
        {view.edges.map((edge) => (
          <EdgeLine key={edge.source + edge.target + edge.relation} edge={edge} places={places} centre={view.ref} />
        ))}
        {view.nodes.map((node) => (
          <NodeBox key={node.ref} node={node} isCentre={node.ref === view.ref} />
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

/** Show all if it stays legible; else show the thing itself at full size, with what is around it. */
function start(whole: Box, view: LineageView, svg: SVGSVGElement | null): Box {
  const room = { width: svg?.clientWidth || 1, height: svg?.clientHeight || 1 };
  if (whole.width < room.width * 1.6 && whole.height < room.height * 1.6) {
    const width = Math.max(whole.width, room.width);
    const height = Math.max(whole.height, room.height);
    return { x: whole.x - (width - whole.width) / 2, y: whole.y - (height - whole.height) / 2, width, height };
  }
  const centre = view.nodes.find((node) => node.ref === view.ref) ?? { x: 0, y: 0 };
  return { x: centre.x - room.width * 0.6, y: centre.y - room.height * 0.6, width: room.width * 1.2, height: room.height * 1.2 };
}

function EdgeLine(props: { edge: GraphEdge; places: ReadonlyMap<string, GraphNode>; centre: string }) {
  const from = props.places.get(props.edge.source);
  const to = props.places.get(props.edge.target);
  if (from === undefined || to === undefined) return null;
  const x1 = from.x + NODE.width / 2;
  const x2 = to.x - NODE.width / 2;
  const bend = Math.max(24, (x2 - x1) / 2);
  const isNear = props.edge.source === props.centre || props.edge.target === props.centre;
  return (
    <path class={`edge${isNear ? " edge-near" : ""}`} d={`M ${x1} ${from.y} C ${x1 + bend} ${from.y} ${x2 - bend} ${to.y} ${x2} ${to.y}`}>
      <title>{props.edge.relation.replaceAll("_", " ")}</title>
    </path>
  );
}

function NodeBox(props: { node: GraphNode; isCentre: boolean }) {
  const { node } = props;
  const glyph = GLYPHS[node.kind] ?? (isIcon(node.kind) ? node.kind : "graph");
  return (
    <a
      class={`node-box${props.isCentre ? " node-centre" : ""}`}
      href={lineageHref(node.ref)}
      aria-label={node.ref}
      onFocus={(focus) => focus.currentTarget.scrollIntoView({ block: "nearest" })}
    >
      <title>{node.ref}</title>
      <g transform={`translate(${node.x - NODE.width / 2} ${node.y - NODE.height / 2})`}>
        <rect width={NODE.width} height={NODE.height} rx="10" />
        <g transform="translate(12 12)">
          <Icon name={glyph} size={20} />
        </g>
        <text class="node-kind" x="42" y="18">
          {node.kind}
        </text>
        <text class="node-label" x="42" y="34">
          {cut(shortId(node.label))}
        </text>
      </g>
    </a>
  );
}

function cut(label: string): string {
  return label.length > 20 ? `${label.slice(0, 9)}…${label.slice(-10)}` : label;
}
