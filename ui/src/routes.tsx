/** Which page stands at which path. Pages are loaded when they are first shown; the loop is there at once. */
import type { ComponentType, VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Problem } from "./api-types";
import { ProblemView } from "./design/problem";
import { Skeleton } from "./design/skeleton";
import { Home } from "./loop/home";

/** A page that cannot be fetched: the server is away, or it was upgraded and has this page under another name. */
const NOT_LOADED: Problem = {
  code: "offline",
  what: "this page could not be loaded",
  why: "the server does not answer, or it was upgraded since this window was opened",
  fix: "interlock up   # then reload this window",
};

type NamedPage = ComponentType<{ name: string }>;

const PAGES: Record<string, { list: () => Promise<ComponentType>; one?: () => Promise<NamedPage> }> = {
  runs: {
    list: async () => (await import("./pages/runs")).Runs,
    one: async () => (await import("./pages/run")).RunPage,
  },
  pipelines: {
    list: async () => (await import("./pages/pipelines")).Pipelines,
    one: async () => (await import("./pages/pipeline")).PipelinePage,
  },
  experiments: { list: async () => (await import("./pages/experiments")).Experiments },
  models: {
    list: async () => (await import("./pages/models")).Models,
    one: async () => (await import("./pages/model")).ModelPage,
  },
  endpoints: {
    list: async () => (await import("./pages/endpoints")).Endpoints,
    one: async () => (await import("./pages/endpoint")).EndpointPage,
  },
  monitors: {
    list: async () => (await import("./pages/monitors")).Monitors,
    one: async () => (await import("./pages/monitor")).MonitorPage,
  },
  datasets: {
    list: async () => (await import("./pages/datasets")).Datasets,
    one: async () => (await import("./pages/dataset")).DatasetPage,
  },
  predictions: {
    list: async () => (await import("./pages/not-found")).NotFound,
    one: async () => (await import("./pages/prediction")).PredictionPage,
  },
  compare: { list: async () => (await import("./pages/compare")).ComparePage },
  trace: { list: async () => (await import("./pages/trace")).TracePage },
  lineage: { list: async () => (await import("./pages/lineage")).LineagePage },
};

export function pageAt(path: string): VNode {
  if (path === "/") return <Home />;
  const [kind = "", ...rest] = path.slice(1).split("/");
  const name = rest.join("/");
  const page = PAGES[kind];
  if (page && name === "") return <Lazy key={kind} load={page.list} name="" />;
  if (page?.one) return <Lazy key={path} load={page.one} name={decode(name)} />;
  return <Lazy key="not-found" load={async () => (await import("./pages/not-found")).NotFound} name="" />;
}

function Lazy(props: { load: () => Promise<NamedPage | ComponentType>; name: string }) {
  const [Shown, setShown] = useState<NamedPage | null>(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    props.load().then(
      (component) => setShown(() => component as NamedPage),
      () => setFailed(true),
    );
  }, []);
  if (Shown !== null) return <Shown name={props.name} />;
  return <div class="page">{failed ? <ProblemView problem={NOT_LOADED} /> : <Skeleton />}</div>;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
