/** The step that all media on a page show: a slider over every step at which anything was logged. */
import { useSignal, type Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { MediaKey } from "../api-types";
import { Icon } from "../design/icon";
import { figure } from "../text/format";

/** Which of the steps is chosen, by its number; null is the last, also while more arrive. */
export type Chosen = Signal<number | null>;

export function useChosen(): Chosen {
  return useSignal<number | null>(null);
}

const KINDS = ["image", "figure", "video", "audio", "histogram", "points3d", "html", "text", "table"];

/** What is seen at a glance first, then what is read. */
export function inOrder(keys: readonly MediaKey[]): MediaKey[] {
  return [...keys].sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind));
}

/** The steps of several keys together, each once, in order. */
export function allSteps(lists: readonly (readonly number[])[]): number[] {
  return [...new Set(lists.flat())].sort((a, b) => a - b);
}

export function stepAt(steps: readonly number[], chosen: Chosen): number {
  return steps[Math.min(chosen.value ?? Infinity, steps.length - 1)] ?? 0;
}

/** Which item of a key to show at a step: the last one at it or before it; null before the first. */
export function itemAt(steps: readonly number[], step: number): number | null {
  let [low, high] = [0, steps.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle]! <= step) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? null : low - 1;
}

/** What is inside follows the slider; the arrow keys move it wherever they have no meaning of their own. */
export function Stepped(props: { steps: readonly number[]; chosen: Chosen; aside?: ComponentChildren; children: ComponentChildren }) {
  const { steps, chosen } = props;
  const last = steps.length - 1;
  const at = Math.min(chosen.value ?? last, last);
  const move = (to: number) => (chosen.value = Math.max(0, Math.min(last, to)));
  const press = (key: KeyboardEvent) => {
    const own = key.target instanceof HTMLElement && key.target.matches("input, select, textarea, audio, video, [role=tab]");
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last }[key.key];
    if (own || to === undefined || key.metaKey || key.ctrlKey || key.altKey || key.shiftKey) return;
    key.preventDefault();
    move(to);
  };
  return (
    <section class="stack" aria-label="Media over steps" tabIndex={-1} onKeyDown={press}>
      <div class="media-bar">
        {last > 0 && (
          <div class="media-slider">
            <button type="button" class="icon-button media-back" aria-label="Step before" disabled={at === 0} onClick={() => move(at - 1)}>
              <Icon name="chevron" />
            </button>
            <input
              type="range"
              aria-label="Step"
              aria-valuetext={`step ${figure(steps[at] ?? 0)}`}
              min={0}
              max={last}
              value={at}
              onInput={(change) => move(Number(change.currentTarget.value))}
            />
            <button type="button" class="icon-button" aria-label="Step after" disabled={at === last} onClick={() => move(at + 1)}>
              <Icon name="chevron" />
            </button>
            <output class="number">
              step {figure(steps[at] ?? 0)} <span class="faint">of {figure(steps[last] ?? 0)}</span>
            </output>
          </div>
        )}
        {props.aside}
      </div>
      {props.children}
    </section>
  );
}
