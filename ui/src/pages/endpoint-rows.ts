/** Rows in the words of the Open Inference Protocol, made from a signature. */
import type { Column, EndpointDetail, ModelVersion } from "../api-types";

const OIP_TYPES: Record<string, string> = {
  boolean: "BOOL",
  long: "INT64",
  double: "FP64",
  string: "BYTES",
  datetime: "BYTES",
  binary: "BYTES",
};

export interface Input {
  name: string;
  shape: number[];
  datatype: string;
  data: unknown;
}

/** The version that answers callers, where the registry has it. */
export function liveVersion(detail: EndpointDetail): ModelVersion | undefined {
  const live = detail.endpoint.deployments.find((one) => one.role === "live");
  return detail.versions.find((one) => `model:${one.model}@${one.version}` === live?.model);
}

/** A row to begin with: the example's, else the last that was asked, else plain values. */
export function firstRow(detail: EndpointDetail): Record<string, unknown> {
  const columns = liveVersion(detail)?.signature.inputs ?? [];
  const known = detail.example ?? detail.recent[0]?.inputs ?? {};
  return Object.fromEntries(columns.map((column) => [column.name, known[column.name] ?? plainValue(column)]));
}

export function inputsOf(columns: readonly Column[], row: Record<string, unknown>): Input[] {
  return columns.map((column) => ({
    name: column.name,
    shape: shapeOf(column),
    datatype: column.datatype || (OIP_TYPES[column.type] ?? "BYTES"),
    data: column.shape === null ? [row[column.name] ?? null] : row[column.name],
  }));
}

/** One row of a column, or of a tensor whose open dimensions are one. */
export function shapeOf(column: Column): number[] {
  return column.shape === null ? [1] : column.shape.map((length) => (length < 0 ? 1 : length));
}

function plainValue(column: Column): unknown {
  if (column.shape !== null) return nested(shapeOf(column), column.type === "string" ? "" : column.type === "boolean" ? false : 0);
  if (column.nullable) return null;
  return { boolean: false, long: 0, double: 0, string: "", datetime: new Date(0).toISOString(), binary: "" }[column.type];
}

function nested(shape: readonly number[], value: unknown): unknown {
  const [length, ...rest] = shape;
  return length === undefined ? value : Array.from({ length }, () => nested(rest, value));
}
