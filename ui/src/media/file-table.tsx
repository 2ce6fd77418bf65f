/** The rows of a stored table, some at a time. */
import { useSignal } from "@preact/signals";
import type { FileHead } from "../api-types";
import { pathOf } from "../api/client";
import { Show, useResource } from "../api/resource";
import { figure, plural } from "../text/format";

const ROWS = 50;

export function headPath(run: string, path: string, rows = ROWS, start = 0): string {
  return `/runs/${pathOf(run)}/head?path=${encodeURIComponent(path)}&rows=${rows}&start=${start}`;
}

/** A table that is read page by page; `rows` is how many to a page. */
export function FileTable(props: { run: string; path: string; label: string; rows?: number }) {
  const rows = props.rows ?? ROWS;
  const start = useSignal(0);
  const head = useResource<FileHead>(headPath(props.run, props.path, rows, start.value));
  return (
    <Show of={head}>
      {(found) => (
        <>
          <Rows of={found} label={props.label} start={start.value} />
          <p class="media-pages faint number">
            <span>{extent(found, start.value)}</span>
            {start.value > 0 && (
              <button type="button" class="link" onClick={() => (start.value = Math.max(0, start.value - rows))}>
                Earlier rows
              </button>
            )}
            {found.rows.length === rows && (found.total_rows === null || start.value + rows < found.total_rows) && (
              <button type="button" class="link" onClick={() => (start.value += rows)}>
                Further rows
              </button>
            )}
          </p>
        </>
      )}
    </Show>
  );
}

function extent(head: FileHead, start: number): string {
  if (head.kind !== "table") return "";
  const last = start + head.rows.length;
  if (head.total_rows === null) return `rows ${start + 1} to ${last} of the beginning`;
  if (head.rows.length === head.total_rows) return `${plural(head.total_rows, "row")}, ${plural(head.columns.length, "column")}`;
  return `rows ${figure(start + 1)} to ${figure(last)} of ${figure(head.total_rows)}`;
}

/** Rows as they were read: of a file, or of what a step put out. */
export function Rows(props: { of: Pick<FileHead, "columns" | "rows" | "why"> & { kind: string }; label: string; start: number }) {
  const { columns, rows, kind, why } = props.of;
  if (kind !== "table") return <p class="quiet">It cannot be shown as a table{why && `: ${why}`}.</p>;
  if (columns.length === 0) return <p class="quiet">The table has no columns.</p>;
  const isNumeric = columns.map((_, at) => rows.some((row) => typeof row[at] === "number") && rows.every((row) => isFigure(row[at])));
  return (
    <div class="table-scroll media-table" tabIndex={0} role="region" aria-label={props.label}>
      <table class="table">
        <thead>
          <tr>
            {columns.map((name, at) => (
              <th key={at} scope="col" class={isNumeric[at] ? "numeric" : ""}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={props.start + at}>
              {columns.map((_, column) => (
                <td key={column} class={isNumeric[column] ? "numeric" : ""}>
                  <Cell of={row[column]} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function isFigure(value: unknown): boolean {
  return value === null || value === undefined || typeof value === "number";
}

function Cell(props: { of: unknown }) {
  const value = props.of;
  if (value === null || value === undefined) return <span class="faint">–</span>;
  if (typeof value === "number") return <>{figure(value)}</>;
  return <span class="media-cell" title={String(value)}>{String(value)}</span>;
}
