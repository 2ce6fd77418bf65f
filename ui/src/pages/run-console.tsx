/** What a run printed: its beginning and its end, searched line by line. */
import { useSignal } from "@preact/signals";
import type { ArtifactEntry } from "../api-types";
import { Code } from "../design/code";
import { Card } from "../design/page";
import { ProblemView } from "../design/problem";
import { Skeleton } from "../design/skeleton";
import { textOf, useContents } from "../media/contents";
import { plural } from "../text/format";

/** Path of the artifact that holds it. */
export const CONSOLE = "console.txt";

export function Console(props: { of: ArtifactEntry; isRunning: boolean }) {
  const wanted = useSignal("");
  const { data, problem } = useContents(props.of, plainOf);
  if (problem) return <ProblemView problem={problem} />;
  if (data === null) return <Skeleton />;
  const lines = data.split("\n");
  const found = wanted.value ? lines.filter((line) => line.toLowerCase().includes(wanted.value.toLowerCase())) : lines;
  return (
    <Card
      title="Console output"
      aside={
        <input
          class="input"
          type="search"
          aria-label="Find in the output"
          placeholder="Find in the output"
          value={wanted.value}
          onInput={(change) => (wanted.value = change.currentTarget.value)}
        />
      }
    >
      {found.length > 0 ? <Code text={found.join("\n")} /> : <p class="quiet">No line holds that.</p>}
      <p class="faint number">
        {plural(found.length - (found.at(-1) === "" ? 1 : 0), "line")}
        {props.isRunning && ", more while it runs"}
      </p>
    </Card>
  );
}

/** The text without the codes that colour terminals. */
function plainOf(data: ArrayBuffer): string {
  return textOf(data).replace(/\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)/g, "");
}
