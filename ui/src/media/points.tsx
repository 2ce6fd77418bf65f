/** Points in space, turned by dragging or by the arrow keys; drawn far to near on a plain canvas. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { ArtifactEntry } from "../api-types";
import { currentTheme } from "../design/theme";
import { ProblemView } from "../design/problem";
import { plural } from "../text/format";
import { useContents } from "./contents";

const MOST = 20_000;
const SIDE = 480;
const TURN = 0.12;

interface Cloud {
  count: number;
  /** x, y, z of those drawn, in a cube from -1 to 1. */
  places: Float32Array;
  /** The colour of each, or null for the ink of the theme. */
  colours: string[] | null;
}

export function Points(props: { file: ArtifactEntry; label: string }) {
  const { data, problem } = useContents(props.file, cloudOf);
  if (problem) return <ProblemView problem={problem} />;
  return data === null ? <div class="media-waits" /> : <CloudView cloud={data} label={props.label} />;
}

function CloudView(props: { cloud: Cloud; label: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [turned, setTurned] = useState({ around: 0.6, over: 0.4 });
  const held = useRef<{ x: number; y: number } | null>(null);
  const theme = currentTheme();
  useEffect(() => {
    if (canvas.current) draw(canvas.current, props.cloud, turned);
  }, [props.cloud, turned, theme]);
  const turn = (around: number, over: number) =>
    setTurned((old) => ({ around: old.around + around, over: Math.max(-1.57, Math.min(1.57, old.over + over)) }));
  const press = (key: KeyboardEvent) => {
    const step = { ArrowLeft: [-TURN, 0], ArrowRight: [TURN, 0], ArrowUp: [0, -TURN], ArrowDown: [0, TURN] }[key.key];
    if (step === undefined) return;
    key.preventDefault();
    key.stopPropagation();
    turn(step[0]!, step[1]!);
  };
  return (
    <canvas
      ref={canvas}
      class="media-points"
      width={SIDE}
      height={SIDE}
      tabIndex={0}
      role="img"
      aria-label={`${props.label}: ${plural(props.cloud.count, "point")} in space; drag or arrow keys turn them`}
      onKeyDown={press}
      onPointerDown={(down) => {
        held.current = { x: down.clientX, y: down.clientY };
        down.currentTarget.setPointerCapture(down.pointerId);
      }}
      onPointerMove={(move) => {
        if (held.current === null) return;
        turn((move.clientX - held.current.x) / 120, (move.clientY - held.current.y) / 120);
        held.current = { x: move.clientX, y: move.clientY };
      }}
      onPointerUp={() => (held.current = null)}
    />
  );
}

function draw(canvas: HTMLCanvasElement, cloud: Cloud, turned: { around: number; over: number }): void {
  const pen = canvas.getContext("2d");
  if (pen === null) return;
  const ink = getComputedStyle(canvas).color;
  const [ca, sa, co, so] = [Math.cos(turned.around), Math.sin(turned.around), Math.cos(turned.over), Math.sin(turned.over)];
  const count = cloud.places.length / 3;
  const seen = new Float32Array(count * 3);
  for (let at = 0; at < count; at += 1) {
    const [x, y, z] = [cloud.places[3 * at]!, cloud.places[3 * at + 1]!, cloud.places[3 * at + 2]!];
    const [right, back] = [x * ca - y * sa, x * sa + y * ca];
    seen.set([right, z * co - back * so, back * co + z * so], 3 * at);
  }
  const order = Array.from({ length: count }, (_, at) => at).sort((a, b) => seen[3 * b + 2]! - seen[3 * a + 2]!);
  const size = count > 4000 ? 2 : count > 500 ? 3 : 5;
  pen.clearRect(0, 0, SIDE, SIDE);
  for (const at of order) {
    const near = 1 / (3.4 + seen[3 * at + 2]!);
    pen.globalAlpha = Math.min(1, 0.25 + near * 1.6);
    pen.fillStyle = cloud.colours?.[at] ?? ink;
    pen.fillRect(SIDE * (0.5 + 1.35 * near * seen[3 * at]!) - size / 2, SIDE * (0.5 - 1.35 * near * seen[3 * at + 1]!) - size / 2, size, size);
  }
}

/** Read the PLY that `log_points3d` writes: little-endian, one element of places with a value or a colour. */
function cloudOf(data: ArrayBuffer): Cloud {
  const head = new TextDecoder("latin1").decode(data.slice(0, 4096));
  const end = head.indexOf("end_header\n");
  const count = Number(/^element vertex (\d+)$/m.exec(head)?.[1] ?? NaN);
  const fields = [...head.slice(0, end).matchAll(/^property (float|uchar) (\w+)$/gm)].map((found) => [found[1]!, found[2]!] as const);
  if (end < 0 || !head.startsWith("ply\nformat binary_little_endian") || !Number.isFinite(count) || fields.length < 3)
    throw new Error("it is no PLY of points");
  const width = fields.reduce((sum, [kind]) => sum + (kind === "float" ? 4 : 1), 0);
  const start = end + "end_header\n".length;
  if (start + count * width > data.byteLength) throw new Error("the file ends before its points do");
  const view = new DataView(data, start);
  const step = Math.max(1, Math.ceil(count / MOST));
  const drawn = Math.ceil(count / step);
  const read = (row: number, column: number): number => {
    const place = row * width + fields.slice(0, column).reduce((sum, [kind]) => sum + (kind === "float" ? 4 : 1), 0);
    return fields[column]![0] === "float" ? view.getFloat32(place, true) : view.getUint8(place);
  };
  const places = new Float32Array(drawn * 3);
  for (let at = 0; at < drawn; at += 1) for (let axis = 0; axis < 3; axis += 1) places[3 * at + axis] = read(at * step, axis) || 0;
  fit(places);
  const names = fields.map(([, name]) => name).join(" ");
  let colours: string[] | null = null;
  if (names.endsWith("red green blue"))
    colours = Array.from({ length: drawn }, (_, at) => `rgb(${read(at * step, 3)} ${read(at * step, 4)} ${read(at * step, 5)})`);
  else if (fields.length === 4) colours = ramp(Array.from({ length: drawn }, (_, at) => read(at * step, 3)));
  return { count, places, colours };
}

function fit(places: Float32Array): void {
  const low = [Infinity, Infinity, Infinity];
  const high = [-Infinity, -Infinity, -Infinity];
  places.forEach((value, at) => {
    low[at % 3] = Math.min(low[at % 3]!, value);
    high[at % 3] = Math.max(high[at % 3]!, value);
  });
  const reach = Math.max(...high.map((one, axis) => one - low[axis]!)) / 2 || 1;
  places.forEach((value, at) => (places[at] = (value - (low[at % 3]! + high[at % 3]!) / 2) / reach));
}

function ramp(values: readonly number[]): string[] {
  const known = values.filter(Number.isFinite);
  const low = known.reduce((least, one) => Math.min(least, one), Infinity);
  const high = known.reduce((most, one) => Math.max(most, one), -Infinity);
  return values.map((one) => {
    const share = Number.isFinite(one) ? (one - low) / (high - low || 1) : 0;
    return `oklch(${0.45 + 0.3 * share} 0.16 ${290 - 210 * share})`;
  });
}
