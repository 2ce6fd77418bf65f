/** Load what a page shows, keep it fresh while events arrive, and show waiting and failure the same way everywhere. */
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ArtifactEntry, Problem } from "../api-types";
import { ProblemView } from "../design/problem";
import { Skeleton } from "../design/skeleton";
import { pathOf, ProblemError, read, readText } from "./client";
import { onEvent } from "./events";

const REFRESH_MS = 1_000;
const POLL_MS = 5_000;
const KEPT = 40;

/** What was read last by path, so that going back shows at once what was there. */
const kept = new Map<string, unknown>();

export interface Resource<T> {
  data: T | null;
  problem: Problem | null;
}

interface Loaded<T> extends Resource<T> {
  path: string | null;
}

/**
 * Read a path, and again at most once a second while events arrive whose kind begins with one of `kinds`.
 * What changes without an event, as what a run logs does, is also read every few seconds if it is `growing`. A null
 * path reads nothing.
 */
export function useResource<T>(path: string | null, kinds: readonly string[] = [], growing = false): Resource<T> {
  return useRead<T>(path, kinds, read<T>, growing);
}

/** Read the contents of an artifact as text. */
export function useText(artifact: ArtifactEntry): Resource<string> {
  return useRead(artifactPath(artifact), [], readText);
}

export function artifactPath(artifact: ArtifactEntry): string {
  return `/artifacts/${pathOf(artifact.digest)}`;
}

function useRead<T>(
  path: string | null,
  kinds: readonly string[],
  reader: (path: string, abort: AbortSignal) => Promise<T>,
  growing = false,
): Resource<T> {
  const [loaded, setLoaded] = useState<Loaded<T>>({ path: null, data: null, problem: null });
  const watched = kinds.join(" ");

  useEffect(() => {
    if (path === null) return;
    const abort = new AbortController();
    let waiting: ReturnType<typeof setTimeout> | undefined;
    const load = async () => {
      waiting = undefined;
      try {
        const data = await reader(path, abort.signal);
        keep(path, data);
        setLoaded({ path, data, problem: null });
      } catch (failure) {
        if (abort.signal.aborted) return;
        if (!(failure instanceof ProblemError)) throw failure;
        setLoaded((old) => ({ path, data: old.path === path ? old.data : null, problem: failure.problem }));
      }
    };
    void load();
    const prefixes = watched === "" ? [] : watched.split(" ");
    const stop = onEvent((event) => {
      if (waiting === undefined && prefixes.some((prefix) => event.kind.startsWith(prefix))) {
        waiting = setTimeout(() => void load(), REFRESH_MS);
      }
    });
    const poll = growing ? setInterval(() => document.hidden || (waiting ??= setTimeout(() => void load())), POLL_MS) : undefined;
    return () => {
      stop();
      clearInterval(poll);
      clearTimeout(waiting);
      abort.abort();
    };
  }, [path, watched, growing]);

  if (loaded.path === path) return loaded;
  return { data: path === null ? null : ((kept.get(path) as T | undefined) ?? null), problem: null };
}

function keep(path: string, data: unknown): void {
  kept.delete(path);
  kept.set(path, data);
  const oldest = kept.keys().next().value;
  if (kept.size > KEPT && oldest !== undefined) kept.delete(oldest);
}

/** Show the data when it is there, else a skeleton, else the problem. Stale data stays under a new problem. */
export function Show<T>(props: { of: Resource<T>; children: (data: T) => ComponentChildren }) {
  const { data, problem } = props.of;
  return (
    <>
      {problem && <ProblemView problem={problem} />}
      {data !== null ? props.children(data) : problem === null && <Skeleton />}
    </>
  );
}
