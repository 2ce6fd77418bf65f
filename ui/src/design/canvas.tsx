/** A picture that is larger than its window: moved by dragging, the wheel with Ctrl, the arrow keys, or buttons. */
import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useRef } from "preact/hooks";
import { Icon } from "./icon";
import "./canvas.css";

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export type Room = Pick<Box, "width" | "height">;

/** How large a small picture gets, how small a large one before it opens on one place, and how large then. */
export interface Scales {
  largest: number;
  smallest: number;
  opened: number;
}

const STEP = 60;

/** All of it if that stays legible; else one place, with what is around it. */
export function opening(whole: Box, place: { x: number; y: number } | undefined, room: Room, scales: Scales): Box {
  const scale = Math.min(room.width / whole.width, room.height / whole.height, scales.largest);
  if (place === undefined || scale >= scales.smallest) return around(whole.x + whole.width / 2, whole.y + whole.height / 2, room, scale);
  const box = around(place.x, place.y, room, scales.opened);
  // near an end of the picture there is no use for empty room beyond it
  return { ...box, x: within(box.x, whole.x, whole.width - box.width), y: within(box.y, whole.y, whole.height - box.height) };
}

export function around(x: number, y: number, room: Room, scale: number): Box {
  const [width, height] = [room.width / scale, room.height / scale];
  return { x: x - width / 2, y: y - height / 2, width, height };
}

/** A place between the first and the last that shows no room beyond; the middle where all fits. */
function within(at: number, first: number, slack: number): number {
  return slack < 0 ? first + slack / 2 : Math.min(Math.max(at, first), first + slack);
}

/** What is seen of a picture, and how it is moved: `by` is how much one zoom is, `slack` how far a press may slip and still be a click. */
export function useCanvas(svg: RefObject<SVGSVGElement | null>, whole: Box, all: (room: Room) => Box, { by, slack }: { by: number; slack: number }) {
  const seen = useSignal<Box>(whole);
  const drag = useRef<{ x: number; y: number; moved: boolean } | null>(null);
  const room = (): Room => ({ width: svg.current?.clientWidth || 1, height: svg.current?.clientHeight || 1 });
  const shown = () => Math.min(room().width / seen.value.width, room().height / seen.value.height);
  const move = (dx: number, dy: number) => {
    seen.value = { ...seen.value, x: seen.value.x + dx, y: seen.value.y + dy };
  };
  const step = () => (STEP * seen.value.width) / room().width;
  const zoom = (by: number, at = { x: 0.5, y: 0.5 }) => {
    const { x, y, width, height } = seen.value;
    seen.value = { x: x + (width - width / by) * at.x, y: y + (height - height / by) * at.y, width: width / by, height: height / by };
  };
  const actions: Record<string, () => void> = {
    ArrowLeft: () => move(-step(), 0),
    ArrowRight: () => move(step(), 0),
    ArrowUp: () => move(0, -step()),
    ArrowDown: () => move(0, step()),
    "+": () => zoom(by),
    "-": () => zoom(1 / by),
    "0": () => (seen.value = all(room())),
  };
  const handlers = {
    onKeyDown(press: KeyboardEvent) {
      const action = actions[press.key];
      if (action === undefined) return;
      press.preventDefault();
      action();
    },
    onWheel(wheel: WheelEvent) {
      if (!wheel.ctrlKey && !wheel.metaKey) return;
      wheel.preventDefault();
      const box = svg.current!.getBoundingClientRect();
      zoom(wheel.deltaY < 0 ? by : 1 / by, { x: (wheel.clientX - box.left) / box.width, y: (wheel.clientY - box.top) / box.height });
    },
    onPointerDown(press: PointerEvent) {
      drag.current = { x: press.clientX, y: press.clientY, moved: false };
    },
    onPointerMove(pointer: PointerEvent) {
      const from = drag.current;
      if (from === null || pointer.buttons === 0) return;
      const [dx, dy] = [from.x - pointer.clientX, from.y - pointer.clientY];
      if (!from.moved && Math.abs(dx) + Math.abs(dy) < slack) return;
      move(dx / shown(), dy / shown());
      drag.current = { x: pointer.clientX, y: pointer.clientY, moved: true };
    },
  };
  return { seen, room, shown, actions, handlers, wasDragged: () => drag.current?.moved === true };
}

export function CanvasTools({ actions }: { actions: Record<string, () => void> }) {
  return (
    <div class="canvas-tools">
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
  );
}

/** The tips of edges: of all, and of those near what is looked at. */
export function Tips({ name }: { name: string }) {
  return (
    <defs>
      {["", "-near"].map((near) => (
        <marker key={near} id={`${name}${near}`} class={`${name}${near}`} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
          <path d="M1 1 7 4 1 7" />
        </marker>
      ))}
    </defs>
  );
}
