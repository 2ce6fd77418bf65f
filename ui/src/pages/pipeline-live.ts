/** The graph of a run as it stands: read once, then only what changes, for as long as it runs. */
import { useEffect, useState } from "preact/hooks";
import type { PipelineGraph, Problem } from "../api-types";
import { pathOf, ProblemError, read } from "../api/client";
import type { Resource } from "../api/resource";

const POLL_MS = 1_000;

export function useGraph(run: string, apart: boolean): Resource<PipelineGraph> {
  const [graph, setGraph] = useState<PipelineGraph | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    let known: PipelineGraph | null = null;
    let waiting: ReturnType<typeof setTimeout>;
    const load = async () => {
      if (known === null || !document.hidden) {
        try {
          const since = known === null ? "" : `&after=${known.change}&known=${known.calls}`;
          const found = await read<PipelineGraph>(`/pipelines/runs/${pathOf(run)}/graph?apart=${apart}${since}`, abort.signal);
          known = merged(known, found);
          setGraph(known);
          setProblem(null);
        } catch (failure) {
          if (abort.signal.aborted) return;
          if (!(failure instanceof ProblemError)) throw failure;
          setProblem(failure.problem);
          if (known === null) return;
        }
      }
      if (known?.run.status === "running") waiting = setTimeout(() => void load(), POLL_MS);
    };
    void load();
    return () => {
      abort.abort();
      clearTimeout(waiting);
    };
  }, [run, apart]);
  return { data: graph, problem };
}

/** What is new in the place of what is known; what changed keeps its place in the picture. */
function merged(old: PipelineGraph | null, found: PipelineGraph): PipelineGraph {
  if (old === null || found.is_whole) return found;
  if (found.nodes.length === 0) return { ...old, run: found.run, change: found.change };
  const changed = new Map(found.nodes.map((node) => [node.id, node]));
  const nodes = old.nodes.map((node) => {
    const fresh = changed.get(node.id);
    return fresh === undefined ? node : { ...fresh, x: node.x, y: node.y };
  });
  return { ...old, run: found.run, change: found.change, statuses: found.statuses, nodes };
}
