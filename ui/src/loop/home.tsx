/** The home page: the loop itself, and beside it the key figures and the stream of events. */
import { useEffect } from "preact/hooks";
import type { Station } from "../api-types";
import { Code } from "../design/code";
import { ProblemView } from "../design/problem";
import { Skeleton } from "../design/skeleton";
import { workspaceName } from "../nav/refs";
import { plural } from "../text/format";
import { LoopFigure } from "./figure";
import { KeyFigures } from "./key-figures";
import { loop, loopProblem } from "./live";
import { Stream } from "./stream";
import "./home.css";
import "./loop.css";

const SNIPPET = `import interlock as il

with il.run("first-steps") as run:
    model.fit(X, y)
    run.log_metrics({"auc": auc})
il.deploy(model, example=X[:5],
          name="first")`;

/** So many stations that want attention are named, more are counted. */
const NAMED = 2;

export function Home() {
  const view = loop.value;
  useEffect(() => {
    document.title = view ? `${workspaceName(view.workspace)} · Interlock` : "Interlock";
  }, [view?.workspace]);
  if (view === null) {
    return <div class="page">{loopProblem.value ? <ProblemView problem={loopProblem.value} /> : <Skeleton />}</div>;
  }
  const unused = view.stations.every((station) => station.state === "empty");
  return (
    <div class="home">
      <div class="home-loop">
        <header class="home-head">
          <h1 title={view.workspace}>{workspaceName(view.workspace)}</h1>
          <p class="quiet">{summary(view.stations)}</p>
        </header>
        {loopProblem.value && <ProblemView problem={loopProblem.value} />}
        <LoopFigure stations={view.stations} />
      </div>
      <aside class="home-side" aria-label={unused ? "First steps" : "Now"}>
        {unused ? (
          <FirstSteps />
        ) : (
          <>
            <KeyFigures />
            <section class="card card-flush stream-card">
              <header class="card-head">
                <h2>Happening now</h2>
              </header>
              <Stream />
            </section>
          </>
        )}
      </aside>
    </div>
  );
}

function FirstSteps() {
  return (
    <section class="card first-steps">
      <h2>Set the loop turning</h2>
      <p class="quiet">Nothing has happened in this workspace yet. Take a year of real flights all the way round:</p>
      <Code text="interlock demo" />
      <p class="quiet">or begin with a model of your own, from a notebook or a script:</p>
      <Code text={SNIPPET} />
      <p class="faint">Each station lights up as soon as it is used; this page moves by itself.</p>
    </section>
  );
}

function summary(stations: readonly Station[]): string {
  const used = stations.filter((station) => station.state !== "empty").length;
  const active = stations.filter((station) => station.state === "active").length;
  const waiting = stations.filter((station) => station.state === "attention");
  if (used === 0) return "Two loops, thirteen stations, waiting for the first event";
  const words = [used === stations.length ? "Both loops closed" : `${used} of ${plural(stations.length, "station")} in use`];
  if (active > 0) words.push(`${active} active now`);
  words.push(`${wanting(waiting)} attention`);
  return words.join(" · ");
}

/** Who wants something, by name as long as that is short. */
function wanting(waiting: readonly Station[]): string {
  if (waiting.length === 0) return "nothing wants";
  if (waiting.length > NAMED) return `${waiting.length} stations want`;
  return `${waiting.map((one) => one.title).join(" and ")} ${waiting.length === 1 ? "wants" : "want"}`;
}
