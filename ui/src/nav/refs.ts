/** Refs (`kind:name@version`), and the page that shows each kind. */
import { pathOf } from "../api/client";

export interface Ref {
  kind: string;
  name: string;
  version: string | null;
}

/** Kinds whose things have a page of their own. */
const WITH_PAGE = new Set(["run", "model", "dataset", "endpoint", "deployment", "monitor", "prediction", "experiment"]);

export function parseRef(text: string): Ref | null {
  const match = /^([a-z]+):([^@\s]+)(?:@(.+))?$/.exec(text.trim());
  return match ? { kind: match[1]!, name: match[2]!, version: match[3] ?? null } : null;
}

export function hasPage(ref: string): boolean {
  return WITH_PAGE.has(parseRef(ref)?.kind ?? "");
}

export function lineageHref(ref: string): string {
  return `/lineage?ref=${encodeURIComponent(ref)}`;
}

export function traceHref(ref: string): string {
  return `/trace?ref=${encodeURIComponent(ref)}`;
}

/** A name as it was given: in a Ref, what is no letter, digit or one of `._/-` is escaped. */
function titleOf(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** The page about a thing; kinds without a page of their own are told by their trace. */
export function hrefOf(text: string): string {
  const ref = parseRef(text);
  if (ref === null) return traceHref(text);
  const title = titleOf(ref.name);
  const name = pathOf(title);
  const version = ref.version === null ? "" : `?version=${encodeURIComponent(ref.version)}`;
  switch (ref.kind) {
    case "run":
      return `/runs/${name}`;
    case "model":
      return `/models/${name}${version}`;
    case "dataset":
      return `/datasets/${name}${version}`;
    case "endpoint":
      return `/endpoints/${name}`;
    case "deployment":
      return `/endpoints/${pathOf(ref.name.replace(/\/\d+$/, ""))}?tab=routing`;
    case "monitor":
      return `/monitors/${name}`;
    case "prediction":
      return `/predictions/${name}`;
    case "experiment":
      return `/runs?experiment=${encodeURIComponent(title)}`;
    default:
      return traceHref(text);
  }
}

/** A Ref as people say it: without its kind, and with a long id cut to its end. */
export function shortRef(text: string): string {
  const ref = parseRef(text);
  if (ref === null) return text;
  return shortId(ref.name) + (ref.version === null ? "" : `@${ref.version}`);
}

/** The end of a time-sortable id, or the start of a digest, is what tells two of them apart. */
export function shortId(id: string): string {
  if (/^[0-9a-f]{64}$/.test(id)) return `${id.slice(0, 8)}…`;
  return isId(id) ? `…${id.slice(-6)}` : id;
}

/** Whether a text is an id that Interlock made, and so says nothing to people. */
export function isId(text: string): boolean {
  return /^[0-9A-Z]{26}$/.test(text);
}

/** A workspace by the name people know it by: its folder, or its database. */
export function workspaceName(uri: string): string {
  if (uri.startsWith("memory:")) return "In memory";
  const parts = uri.replace(/[?#].*$/, "").split(/[\\/]/).filter((part) => part !== "" && part !== ".interlock");
  return parts.at(-1) ?? uri;
}
