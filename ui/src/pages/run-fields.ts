/** What a table of runs can show and order by, and which columns a reader chose; the choice stays in this browser. */
import type { Run, RunKeys } from "../api-types";

export type Part = "attribute" | "metric" | "param" | "tag";

export interface RunField {
  part: Part;
  key: string;
}

const ATTRIBUTES = ["status", "experiment", "kind", "took", "started_at", "user", "id"] as const;
const DEFAULT_METRICS = 3;
const DEFAULT_PARAMS = 3;
const STORED = "interlock.run-columns";

export function idOf(field: RunField): string {
  return `${field.part}:${field.key}`;
}

export function fieldOf(id: string): RunField | null {
  const [part, ...rest] = id.split(":");
  const key = rest.join(":");
  return key !== "" && ["attribute", "metric", "param", "tag"].includes(part ?? "") ? { part: part as Part, key } : null;
}

/** A field as the search grammar writes it. */
export function grammarOf(field: RunField): string {
  if (field.part === "attribute") return field.key;
  const key = /^[A-Za-z_][\w.]*$/.test(field.key) ? field.key : `\`${field.key}\``;
  return `${field.part}s.${key}`;
}

/** Everything that may be shown, in the order in which it is offered. */
export function offered(keys: RunKeys): RunField[] {
  const of = (part: Part, names: readonly string[]) => names.map((key) => ({ part, key }));
  return [...of("attribute", ATTRIBUTES), ...of("metric", keys.metrics), ...of("param", keys.params), ...of("tag", keys.tags)];
}

/** The columns shown before anybody chose: what most of the runs have. */
export function usual(runs: readonly Run[]): RunField[] {
  const metrics = mostCommon(runs.map((run) => Object.keys(run.metrics)), DEFAULT_METRICS);
  const flat = runs.map((run) => flatParams(run.params));
  const varies = (key: string) => new Set(flat.map((params) => JSON.stringify(params[key]))).size > 1;
  const params = mostCommon(flat.map((params) => Object.keys(params).filter(varies)), DEFAULT_PARAMS);
  return [
    { part: "attribute", key: "status" },
    ...metrics.map((key) => ({ part: "metric" as const, key })),
    ...params.map((key) => ({ part: "param" as const, key })),
    { part: "attribute", key: "experiment" },
    { part: "attribute", key: "took" },
    { part: "attribute", key: "started_at" },
  ];
}

export function storedColumns(experiment: string): RunField[] | null {
  try {
    const all = JSON.parse(localStorage.getItem(STORED) ?? "{}") as Record<string, string[]>;
    const ids = all[experiment];
    return ids ? ids.map(fieldOf).filter((field) => field !== null) : null;
  } catch {
    return null;
  }
}

export function storeColumns(experiment: string, columns: readonly RunField[] | null): void {
  try {
    const all = JSON.parse(localStorage.getItem(STORED) ?? "{}") as Record<string, string[]>;
    if (columns === null) delete all[experiment];
    else all[experiment] = columns.map(idOf);
    localStorage.setItem(STORED, JSON.stringify(all));
  } catch {
    // A browser without storage forgets the choice; the table works all the same.
  }
}

/** Nested params on one level, their names joined by dots. */
export function flatParams(params: Record<string, unknown>, start = ""): Record<string, unknown> {
  const flat: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(params)) {
    if (value !== null && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length > 0)
      Object.assign(flat, flatParams(value as Record<string, unknown>, `${start}${key}.`));
    else flat[start + key] = value;
  }
  return flat;
}

function mostCommon(names: readonly string[][], most: number): string[] {
  const counts = new Map<string, number>();
  for (const name of names.flat()) if (!name.startsWith("system/")) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts]
    .sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]))
    .slice(0, most)
    .map(([name]) => name);
}
