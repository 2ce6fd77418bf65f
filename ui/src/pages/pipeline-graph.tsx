/** The graph of a run as the server laid it out; moved by dragging, wheel with Ctrl, buttons, keys, or the small map. */
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { DrawnEdge, DrawnNode, PipelineGraph } from "../api-types";
import { around, type Box, CanvasTools, opening, Tips, useCanvas } from "../design/canvas";
import { compact, duration } from "../text/format";
import { extentOf, signOf, toneOf, wordOf } from "./pipeline-words";

/** Half of a node. */
const HALF = { width: 106, height: 24 };
const MARGIN = 24;
/** Room for the buttons above the nodes. */
const ABOVE = 34;
const ZOOM = 1.3;
/** How large a small graph gets, how small a large one before it opens on one end, and how large then. */
const SCALE = { largest: 1.1, smallest: 0.55, opened: 0.85 };
/** Below these, nodes say less in larger letters, then nothing but their state. */
const FAR = { plain: 0.5, mute: 0.24 };
const HEIGHT = { least: 220, share: 0.62 };
/** So many letters of a name have room. */
const LONGEST = 22;

interface GraphProps {
  graph: PipelineGraph;
  /** The drawn node that is open. */
  chosen: number | null;
  /** Nodes whose step holds this stand out. */
  wanted: string;
  onChoose: (node: DrawnNode) => void;
  /** What stands below the picture, beside the small map. */
  children: ComponentChildren;
}

export function StepGraph(props: GraphProps) {
  const { graph, chosen, wanted } = props;
  const svg = useRef<SVGSVGElement>(null);
  const whole: Box = {
    x: -HALF.width - MARGIN,
    y: -HALF.height - MARGIN - ABOVE,
    width: graph.width + 2 * (HALF.width + MARGIN),
    height: graph.height + 2 * (HALF.height + MARGIN) + ABOVE,
  };
  const canvas = useCanvas(svg, whole, (room) => opening(whole, undefined, room, SCALE), { by: ZOOM, slack: 4 });
  const { seen, room } = canvas;
  const found = wanted === "" ? null : graph.nodes.filter((node) => isWanted(node, wanted));

  useEffect(() => {
    const first = graph.nodes.find((node) => node.id === chosen) ?? graph.nodes.find(({ status }) => status === "failed" || status === "running");
    seen.value = opening(whole, first ?? graph.nodes[0], room(), SCALE);
  }, [graph.run.id, graph.width, graph.height]);
  useEffect(() => {
    const first = found?.[0];
    if (first) seen.value = around(first.x, first.y, room(), Math.max(SCALE.opened, room().width / seen.value.width));
  }, [wanted]);

  const nodes = useMemo(
    () => graph.nodes.map((node) => <NodeBox key={node.id} node={node} isChosen={node.id === chosen} isDim={found !== null && !found.includes(node)} onChoose={() => canvas.wasDragged() || props.onChoose(node)} />),
    [graph.nodes, chosen, wanted],
  );
  const edges = useMemo(() => {
    const places = new Map(graph.nodes.map((node) => [node.id, node]));
    return graph.edges.map((edge) => <EdgeLine key={`${edge.source} ${edge.target}`} edge={edge} from={places.get(edge.source)} to={places.get(edge.target)} isNear={edge.source === chosen || edge.target === chosen} />);
  }, [graph.edges, graph.nodes, chosen]);
  const { x, y, width, height } = seen.value;
  const shown = canvas.shown();
  const far = shown < FAR.mute ? "mute" : shown < FAR.plain ? "plain" : "near";

  return (
    <>
      <div class="canvas steps">
        <svg
          ref={svg}
          class={`steps-picture steps-${far}`}
          style={{ height: `${Math.round(Math.min(innerHeight * HEIGHT.share, Math.max(HEIGHT.least, whole.height)))}px` }}
          viewBox={`${x} ${y} ${width} ${height}`}
          tabindex={0}
          role="group"
          aria-label="Graph of the steps. Arrow keys move, plus and minus zoom, 0 shows all."
          {...canvas.handlers}
        >
          <Tips name="step-tip" />
          {edges}
          {nodes}
        </svg>
        <CanvasTools actions={canvas.actions} />
        {found !== null && (
          <p class="steps-found" role="status">
            {found.length === 0 ? "No step is called that" : `${found.length} found`}
          </p>
        )}
      </div>
      <div class="steps-foot">
        <div>{props.children}</div>
        {(whole.width > width * 1.05 || whole.height > height * 1.05) && (
          <SmallMap nodes={graph.nodes} whole={whole} seen={seen.value} onGo={(at) => (seen.value = { ...seen.value, x: at.x - width / 2, y: at.y - height / 2 })} />
        )}
      </div>
    </>
  );
}

function isWanted(node: DrawnNode, wanted: string): boolean {
  return (node.group + node.step).toLowerCase().includes(wanted.toLowerCase());
}

function EdgeLine(props: { edge: DrawnEdge; from: DrawnNode | undefined; to: DrawnNode | undefined; isNear: boolean }) {
  const { edge, from, to } = props;
  if (from === undefined || to === undefined) return null;
  const points: [number, number][] = [[from.x + HALF.width, from.y]];
  for (let at = 0; at + 1 < edge.bends.length; at += 2) {
    const [x, y] = [edge.bends[at]!, edge.bends[at + 1]!];
    points.push([x - HALF.width, y], [x + HALF.width, y]);
  }
  points.push([to.x - HALF.width - 2, to.y]);
  return <path class={`step-edge${props.isNear ? " step-edge-near" : ""}`} d={curve(points)} marker-end={`url(#step-tip${props.isNear ? "-near" : ""})`} />;
}

function curve(points: readonly [number, number][]): string {
  const [first, ...rest] = points;
  let d = `M${first![0]} ${first![1]}`;
  let [fromX, fromY] = first!;
  for (const [x, y] of rest) {
    const bend = (x - fromX) / 2;
    d += y === fromY ? `L${x} ${y}` : `C${fromX + bend} ${fromY} ${x - bend} ${y} ${x} ${y}`;
    [fromX, fromY] = [x, y];
  }
  return d;
}

function NodeBox(props: { node: DrawnNode; isChosen: boolean; isDim: boolean; onChoose: () => void }) {
  const { node } = props;
  const { width, height } = HALF;
  const extent = extentOf(node.calls, node.duration_s);
  const spoken = `${node.group}${node.step}: ${countsOf(node)}${extent && `, ${extent}`}`;
  return (
    <g
      class={`step-node ${toneOf(node.status)}${props.isChosen ? " step-chosen" : ""}${props.isDim ? " step-dim" : ""}`}
      transform={`translate(${node.x} ${node.y})`}
      tabindex={0}
      role="button"
      aria-pressed={props.isChosen}
      aria-label={spoken}
      onClick={props.onChoose}
      onKeyDown={(press) => {
        if (press.key !== "Enter" && press.key !== " ") return;
        press.preventDefault();
        props.onChoose();
      }}
    >
      <title>{[spoken, node.error ?? node.reason].filter(Boolean).join("\n")}</title>
      {node.calls > 1 && <rect class="step-behind" x={-width + 5} y={-height - 5} width={2 * width - 2} height={2 * height} rx="9" />}
      <rect x={-width} y={-height} width={2 * width} height={2 * height} rx="9" />
      <circle cx={-width + 22} r="11" />
      <text class="step-sign" x={-width + 22} y="5">
        {signOf(node.status)}
      </text>
      <text class="step-name" x={-width + 42} y="-3">
        {cut(node.step, node.calls > 1 ? LONGEST - 6 : LONGEST)}
      </text>
      {node.calls > 1 && (
        <text class="step-count" x={width - 10} y="-3">
          × {compact(node.calls)}
        </text>
      )}
      <text class="step-more" x={-width + 42} y="14">
        {moreOf(node)}
      </text>
      {node.calls > 1 && <Shares of={node} />}
    </g>
  );
}

/** The verdict, and the time: `reused, saved 1.2 s`. */
function moreOf(node: DrawnNode): string {
  const word = wordOf(node.status);
  if (node.duration_s < 0.0005) return word;
  return node.status === "reused" ? `${word}, saved ${duration(node.duration_s)}` : `${word}, ${duration(node.duration_s)}`;
}

/** How the calls of one node stand, along its lower edge. */
function Shares(props: { of: DrawnNode }) {
  const { statuses, calls } = props.of;
  const full = 2 * HALF.width - 18;
  let x = -HALF.width + 9;
  return (
    <>
      {Object.entries(statuses).map(([status, count]) => {
        const at = x;
        x += (full * count) / calls;
        return <rect key={status} class={`step-share ${toneOf(status)}`} x={at} y={HALF.height - 5} width={(full * count) / calls} height="3" />;
      })}
    </>
  );
}

function countsOf(node: DrawnNode): string {
  const counts = Object.entries(node.statuses);
  return counts.length === 1 ? wordOf(node.status) : counts.map(([status, count]) => `${count} ${wordOf(status)}`).join(", ");
}

function cut(text: string, longest: number): string {
  const half = Math.floor((longest - 1) / 2);
  return text.length <= longest ? text : `${text.slice(0, half)}…${text.slice(-half)}`;
}

function SmallMap(props: { nodes: readonly DrawnNode[]; whole: Box; seen: Box; onGo: (at: { x: number; y: number }) => void }) {
  const { whole, seen } = props;
  const size = Math.max(HALF.height * 2, Math.max(whole.width / 180, whole.height / 110) * 3);
  return (
    <svg
      class="steps-map"
      viewBox={`${whole.x} ${whole.y} ${whole.width} ${whole.height}`}
      aria-hidden="true"
      onClick={(click) => {
        const at = new DOMPoint(click.clientX, click.clientY).matrixTransform(click.currentTarget.getScreenCTM()!.inverse());
        props.onGo(at);
      }}
    >
      {props.nodes.map((node) => (
        <rect key={node.id} class={toneOf(node.status)} x={node.x - HALF.width} y={node.y - size / 2} width={HALF.width * 2} height={size} />
      ))}
      <rect class="steps-window" x={seen.x} y={seen.y} width={seen.width} height={seen.height} />
    </svg>
  );
}
