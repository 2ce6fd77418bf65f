/** The newest predictions as they are made: a second behind at most, and still while it is paused. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { PredictionRow, Problem } from "../api-types";
import { pathOf, ProblemError, read } from "../api/client";
import { Card } from "../design/page";
import { ProblemView } from "../design/problem";
import { Skeleton } from "../design/skeleton";
import { Predictions } from "./endpoint-predictions";

const EVERY_MS = 1_000;
const ROWS = 50;

export function Tail(props: { name: string }) {
  const rows = useSignal<PredictionRow[] | null>(null);
  const problem = useSignal<Problem | null>(null);
  const isPaused = useSignal(false);
  const known = useRef<ReadonlySet<string> | null>(null);
  const fresh = useSignal<ReadonlySet<string>>(new Set());

  useEffect(() => {
    const abort = new AbortController();
    let next: ReturnType<typeof setTimeout> | undefined;
    const look = async () => {
      try {
        if (!isPaused.value && !document.hidden) {
          const found = await read<PredictionRow[]>(`/endpoints/${pathOf(props.name)}/recent?limit=${ROWS}`, abort.signal);
          const before = known.current;
          fresh.value = new Set(before === null ? [] : found.map(keyOf).filter((key) => !before.has(key)));
          known.current = new Set(found.map(keyOf));
          rows.value = found;
          problem.value = null;
        }
      } catch (failure) {
        if (abort.signal.aborted) return;
        if (!(failure instanceof ProblemError)) throw failure;
        problem.value = failure.problem;
      }
      next = setTimeout(() => void look(), EVERY_MS);
    };
    void look();
    return () => {
      abort.abort();
      clearTimeout(next);
    };
  }, [props.name]);

  return (
    <Card
      flush
      title="As they are answered"
      aside={
        <button type="button" class="button" aria-pressed={isPaused.value} onClick={() => (isPaused.value = !isPaused.value)}>
          {isPaused.value ? "Go on" : "Pause"}
        </button>
      }
    >
      {problem.value && <ProblemView problem={problem.value} />}
      {rows.value ? <Predictions rows={rows.value} isNew={(row) => fresh.value.has(keyOf(row))} /> : !problem.value && <Skeleton />}
    </Card>
  );
}

function keyOf(row: PredictionRow): string {
  return `${row.id} ${row.model}`;
}
