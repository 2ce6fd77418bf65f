/** Where a run ran: its libraries, its machine, and what it used of it. */
import { useSignal } from "@preact/signals";
import type { RunDetail } from "../api-types";
import { Card, Facts } from "../design/page";
import { inline, plural } from "../text/format";
import { flatParams } from "./run-fields";
import { Curves, isOfMachine } from "./run-metrics";

const LOCKS = "environment/";

export function Environment(props: { detail: RunDetail }) {
  const { run, artifacts } = props.detail;
  const wanted = useSignal("");
  const holds = (text: string) => text.toLowerCase().includes(wanted.value.trim().toLowerCase());
  const libraries = Object.entries(run.libraries).sort();
  const { argv: _, ...environment } = run.environment;
  const machine = Object.entries(flatParams(environment)).map(([name, value]): [string, string] => [name, inline(value)]);
  const found = libraries.filter((one) => holds(one.join(" ")));
  const facts = machine.filter((one) => holds(one.join(" ")));
  const locks = artifacts.filter((one) => one.path.startsWith(LOCKS));
  const metrics = Object.values(run.metrics).filter((metric) => isOfMachine(metric.key));
  return (
    <div class="stack">
      <input
        class="input run-find"
        type="search"
        aria-label="Find in the environment"
        placeholder="Find a library or a fact"
        value={wanted.value}
        onInput={(change) => (wanted.value = change.currentTarget.value)}
      />
      <div class="halves">
        <Card title="Libraries" aside={plural(found.length, "library").replace("librarys", "libraries")}>
          {found.length > 0 ? <Facts of={found} /> : <p class="quiet">{libraries.length === 0 ? "Not recorded." : "None is called that."}</p>}
        </Card>
        <div class="stack">
          <Card title="Machine">
            {facts.length > 0 ? <Facts of={facts} /> : <p class="quiet">{machine.length === 0 ? "Not recorded." : "Nothing of that kind."}</p>}
          </Card>
          {locks.length > 0 && (
            <Card title="Everything that was installed">
              <ul class="run-links">
                {locks.map((one) => (
                  <li key={one.path}>
                    <a class="ref" href={`?tab=artifacts&file=${encodeURIComponent(one.path)}`}>
                      {one.path.slice(LOCKS.length)}
                    </a>
                  </li>
                ))}
              </ul>
            </Card>
          )}
        </div>
      </div>
      {metrics.length > 0 && (
        <>
          <h2>What it used of the machine</h2>
          <Curves run={run} metrics={metrics} />
        </>
      )}
    </div>
  );
}
