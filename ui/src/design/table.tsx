/** A table of records: columns say how to show one; the first cell carries the link that the whole row follows. */
import type { ComponentChildren } from "preact";

export interface ColumnOf<T> {
  title: string;
  /** What stands at the head instead of the title, such as a button that orders by it. */
  head?: ComponentChildren;
  show: (row: T) => ComponentChildren;
  /** Figures align right and line up. */
  numeric?: boolean;
  /** The column that takes the room that is left. */
  wide?: boolean;
  /** Left out on a phone. */
  extra?: boolean;
}

interface TableProps<T> {
  label: string;
  rows: readonly T[];
  columns: readonly ColumnOf<T>[];
  id: (row: T) => string;
  /** Emphasises some rows. */
  marked?: (row: T) => boolean;
  /** Shows that some rows have just come. */
  fresh?: ((row: T) => boolean) | undefined;
}

export function Table<T>(props: TableProps<T>) {
  const classOf = (column: ColumnOf<T>) =>
    [column.numeric && "numeric", column.wide && "wide", column.extra && "extra"].filter(Boolean).join(" ");
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label={props.label}>
      <table class="table">
        <thead>
          <tr>
            {props.columns.map((column) => (
              <th key={column.title} scope="col" class={classOf(column)}>
                {column.head ?? column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {props.rows.map((row) => (
            <tr key={props.id(row)} class={props.marked?.(row) ? "marked" : props.fresh?.(row) ? "fresh" : ""}>
              {props.columns.map((column) => (
                <td key={column.title} class={classOf(column)}>
                  {column.show(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The link in a row's first cell; it is stretched over the row. */
export function RowLink(props: { href: string; children: ComponentChildren }) {
  return (
    <a class="row-link" href={props.href}>
      {props.children}
    </a>
  );
}
