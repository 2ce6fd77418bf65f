/** A chart of series over steps or time. uPlot is loaded when the first chart is shown. */
import { useEffect, useRef } from "preact/hooks";
import type uPlot from "uplot";
import { currentTheme } from "../design/theme";
import { figure, shortDate } from "../text/format";

const DAY_S = 86_400;
/** Up to as many points each gets a dot; more would hide the line. */
const MARKED_POINTS = 60;

export interface Line {
  label: string;
  values: readonly (number | null)[];
  /** A colour token without its dashes (`model`). */
  ink: string;
  /** Only there to bound a band: not drawn itself. */
  edge?: boolean;
}

interface LineChartProps {
  /** What the chart shows, in words, for those who cannot see it. */
  label: string;
  /** Steps, or seconds since 1970 when `time` is set. */
  x: readonly number[];
  lines: readonly Line[];
  time?: boolean;
  height?: number;
  /** Indices of the upper and lower line between which a band is filled. */
  band?: readonly [number, number];
  /** The lines have values at some of the x only, and are drawn across the rest. */
  gaps?: boolean;
  /** A level that matters. */
  threshold?: number;
  /** Moments that matter, on the x axis. */
  marks?: readonly number[];
  /** Moments from which on something else held, with what it was. */
  turns?: readonly { at: number; label: string }[];
}

export function LineChart(props: LineChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const theme = currentTheme();
  const height = props.height ?? 220;
  const drawn = JSON.stringify([props.x, props.lines, props.threshold, props.marks, props.turns]);

  useEffect(() => {
    const host = place.current;
    if (host === null) return;
    let chart: uPlot | null = null;
    let gone = false;
    const resized = new ResizeObserver(() => chart?.setSize({ width: host.clientWidth, height }));
    void loadUplot().then((Plot) => {
      if (gone) return;
      chart = new Plot(options(props, height, host), dataOf(props), host);
      resized.observe(host);
    });
    return () => {
      gone = true;
      resized.disconnect();
      chart?.destroy();
    };
  }, [drawn, theme, height]);

  return <div ref={place} class="chart" role="img" aria-label={props.label} style={{ minHeight: `${height}px` }} />;
}

async function loadUplot(): Promise<typeof uPlot> {
  const [library] = await Promise.all([import("uplot"), import("uplot/dist/uPlot.min.css")]);
  return library.default;
}

function dataOf(props: LineChartProps): uPlot.AlignedData {
  return [[...props.x], ...props.lines.map((line) => [...line.values])];
}

function options(props: LineChartProps, height: number, host: HTMLElement): uPlot.Options {
  const faint = ink(host, "ink-faint");
  const grid = { stroke: ink(host, "line"), width: 1 };
  const font = "12px " + getComputedStyle(host).fontFamily;
  const axis = { stroke: faint, grid, ticks: { show: false }, font };
  return {
    width: host.clientWidth,
    height,
    padding: [12, 24, 0, 0],
    cursor: { y: false, points: { size: 7 } },
    scales: { x: { time: props.time ?? false }, y: { range: (_, low, high) => room(props, low, high) } },
    series: [
      { label: props.time ? "at" : "step", value: (_, v: number | null) => (v === null ? "–" : onX(props, v, props.x)) },
      ...props.lines.map((line) => ({
        label: line.label,
        stroke: ink(host, line.ink),
        width: line.edge ? 0 : 2,
        spanGaps: props.gaps ?? false,
        points: { show: !line.edge && props.x.length <= MARKED_POINTS, size: 6, fill: ink(host, "surface") },
        value: (_: uPlot, v: number | null) => (v === null ? "–" : figure(v)),
      })),
    ],
    ...(props.band && { bands: [{ series: [props.band[0] + 1, props.band[1] + 1], fill: ink(host, "model", 0.16) }] }),
    axes: [
      { ...axis, values: (_, ticks) => ticks.map((tick) => onX(props, tick, ticks)) },
      { ...axis, size: 58, values: (_, ticks) => ticks.map(figure) },
    ],
    hooks: {
      drawAxes: [(chart) => drawTurns(chart, props, ink(host, "line-strong"), faint, font)],
      draw: [(chart) => drawMarks(chart, props, ink(host, "bad"))],
      // Without a pointer the words under the chart are about its last point.
      setCursor: [(chart) => chart.cursor.idx == null && chart.setLegend({ idx: props.x.length - 1 })],
      ready: [(chart) => chart.setLegend({ idx: props.x.length - 1 })],
    },
  };
}

/** Some air above and below, and the threshold always in sight. */
function room(props: LineChartProps, low: number | null, high: number | null): [number, number] {
  const seen = [low, high, props.threshold].filter((value) => value !== null && value !== undefined);
  if (seen.length === 0) return [0, 1];
  const [bottom, top] = [Math.min(...seen), Math.max(...seen)];
  const air = (top - bottom || Math.abs(top) || 1) * 0.12;
  return [bottom - air, top + air];
}

function drawMarks(chart: uPlot, props: LineChartProps, colour: string): void {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.fillStyle = colour;
  ctx.lineWidth = devicePixelRatio;
  if (props.threshold !== undefined) {
    const y = Math.round(chart.valToPos(props.threshold, "y", true));
    ctx.setLineDash([6 * devicePixelRatio, 5 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.setLineDash([]);
  }
  for (const mark of props.marks ?? []) {
    const x = Math.round(chart.valToPos(mark, "x", true));
    const size = 6 * devicePixelRatio;
    const value = props.lines[0]?.values[props.x.indexOf(mark)];
    if (value !== null && value !== undefined) {
      ctx.beginPath();
      ctx.arc(x, chart.valToPos(value, "y", true), 0.75 * size, 0, 2 * Math.PI);
      ctx.fill();
    }
    ctx.beginPath();
    ctx.moveTo(x - size, bbox.top);
    ctx.lineTo(x + size, bbox.top);
    ctx.lineTo(x, bbox.top + 1.6 * size);
    ctx.fill();
  }
  ctx.restore();
}

function drawTurns(chart: uPlot, props: LineChartProps, line: string, words: string, font: string): void {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.strokeStyle = line;
  ctx.fillStyle = words;
  ctx.lineWidth = devicePixelRatio;
  ctx.font = font.replace("12px", `${11 * devicePixelRatio}px`);
  ctx.textAlign = "left";
  ctx.textBaseline = "bottom";
  let free = 0;
  for (const { at, label } of props.turns ?? []) {
    const x = Math.max(bbox.left, Math.round(chart.valToPos(at, "x", true)));
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    // Where turns follow each other closely, the lines stand and some words are left out.
    const start = x + 4 * devicePixelRatio;
    const end = start + ctx.measureText(label).width;
    if (start < free) continue;
    ctx.fillText(label, start, bbox.top + bbox.height - 3 * devicePixelRatio);
    free = end;
  }
  ctx.restore();
}

/** Resolve a colour token to what a canvas understands. */
function ink(host: HTMLElement, token: string, alpha = 1): string {
  const probe = document.createElement("i");
  probe.style.color = `color-mix(in srgb, var(--${token}) ${alpha * 100}%, transparent)`;
  host.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

/** A place on the x axis in words; between ticks closer than a day, the time of the day. */
function onX(props: LineChartProps, at: number, ticks: readonly number[] = []): string {
  if (!props.time) return figure(at);
  return shortDate(at, ticks.length > 1 && ticks[1]! - ticks[0]! < DAY_S);
}
