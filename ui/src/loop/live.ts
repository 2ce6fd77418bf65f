/** What the loop shows now: the last answer of `/loop`, kept fresh by the event log, and the stream beside it. */
import { computed, signal } from "@preact/signals";
import type { Event as LogEvent, LoopView, Problem } from "../api-types";
import { ProblemError, read } from "../api/client";
import { follow, onEvent } from "../api/events";

const REFRESH_MS = 1_000;
const STREAM = 60;

export const loop = signal<LoopView | null>(null);
export const loopProblem = signal<Problem | null>(null);
/** The last events, newest first. */
export const stream = signal<readonly LogEvent[]>([]);

/** The Refs that were spoken of last: what the Ref box offers. */
export const knownRefs = computed(() => [...new Set(stream.value.map((event) => event.subject))]);

let waiting = false;

/** Load the loop, then follow the log from where it stood. */
export async function startLoop(): Promise<void> {
  await refresh();
  onEvent((event) => {
    stream.value = [event, ...stream.value].slice(0, STREAM);
    if (waiting) return;
    waiting = true;
    setTimeout(() => {
      waiting = false;
      void refresh();
    }, REFRESH_MS);
  });
}

async function refresh(): Promise<void> {
  try {
    const view = await read<LoopView>("/loop");
    loop.value = view;
    loopProblem.value = null;
    if (stream.value.length === 0) stream.value = [...view.recent].sort((a, b) => b.seq - a.seq).slice(0, STREAM);
    void follow(view.last_seq);
  } catch (failure) {
    if (!(failure instanceof ProblemError)) throw failure;
    loopProblem.value = failure.problem;
    if (loop.value === null) setTimeout(() => void refresh(), 5 * REFRESH_MS);
  }
}
