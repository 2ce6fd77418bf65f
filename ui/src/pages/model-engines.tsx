/** The forms in which a version can answer, how quick each is, and how closely it agrees with the model. */
import type { ModelVersion } from "../api-types";
import { Badge } from "../design/badge";
import { Card } from "../design/page";
import { Table } from "../design/table";
import { ms } from "./endpoint-traffic";

interface Engine {
  engine: string;
  title: string;
  one_row_us: number;
  rows512_us: number;
  max_difference: number;
}

/** What was measured when the version was registered; the model's own library comes first. */
export function enginesOf(version: ModelVersion): readonly Engine[] {
  const engines = version.facts["engines"];
  return Array.isArray(engines) ? (engines as Engine[]) : [];
}

export function Engines(props: { version: ModelVersion }) {
  const engines = enginesOf(props.version);
  if (engines.length === 0) return null;
  const quickest = (rows: "one_row_us" | "rows512_us") => engines.reduce((best, one) => (one[rows] < best[rows] ? one : best));
  const time = (one: Engine, rows: "one_row_us" | "rows512_us") => (
    <span class={one === quickest(rows) ? "engine-chosen" : ""}>{ms(one[rows] / 1000)}</span>
  );
  return (
    <Card title="Engines" aside="measured when it was registered" flush>
      <Table
        label="Engines"
        rows={engines}
        id={(one) => one.title}
        columns={[
          { title: "Form", wide: true, show: (one) => <Badge tone={one === quickest("one_row_us") ? "software" : "plain"}>{one.title}</Badge> },
          { title: "1 row", numeric: true, show: (one) => time(one, "one_row_us") },
          { title: "512 rows", numeric: true, show: (one) => time(one, "rows512_us") },
          { title: "Differs by", numeric: true, show: (one) => (one.max_difference === 0 ? "nothing" : one.max_difference.toExponential(0)) },
        ]}
      />
    </Card>
  );
}
