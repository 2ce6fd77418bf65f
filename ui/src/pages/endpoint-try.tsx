/** Ask an endpoint one row: a form made from its signature, filled with an example. */
import { useSignal, type Signal } from "@preact/signals";
import type { Column, EndpointDetail, Problem } from "../api-types";
import { ask, pathOf, ProblemError } from "../api/client";
import { Code } from "../design/code";
import { Card, Empty } from "../design/page";
import { ProblemView } from "../design/problem";
import { RefLink } from "../design/ref-link";
import { inline } from "../text/format";
import { firstRow, inputsOf, liveVersion, shapeOf } from "./endpoint-rows";
import { ms } from "./endpoint-traffic";
import { NoVersion } from "./endpoint-versions";
import "./endpoint.css";

/** What stands in the fields, by column; null is a value that is missing. */
type Fields = Record<string, string | null>;

interface Output {
  name: string;
  datatype: string;
  shape: number[];
  data: unknown[];
}

interface Answered {
  outputs: Output[];
  model: string;
  prediction: string | undefined;
  took: number;
}

export function TryIt(props: { detail: EndpointDetail }) {
  const { detail } = props;
  const version = liveVersion(detail);
  const columns = version?.signature.inputs ?? [];
  const fields = useSignal<Fields>(asFields(columns, firstRow(detail)));
  const answer = useSignal<Answered | null>(null);
  const problem = useSignal<Problem | null>(null);
  const isAsking = useSignal(false);
  if (version === undefined) return <NoVersion />;

  const send = async () => {
    isAsking.value = true;
    problem.value = null;
    try {
      answer.value = await predict(detail.endpoint.name, columns, fields.value);
    } catch (failure) {
      if (!(failure instanceof ProblemError)) throw failure;
      [answer.value, problem.value] = [null, failure.problem];
    } finally {
      isAsking.value = false;
    }
  };
  return (
    <div class="columns">
      <Card title="One row" aside={`${columns.length} ${columns[0]?.shape ? "tensors" : "columns"}`}>
        <form
          class="try"
          onSubmit={(submit) => {
            submit.preventDefault();
            void send();
          }}
        >
          <div class="try-fields">
            {columns.map((column) => (
              <Field key={column.name} column={column} fields={fields} wrong={named(problem.value, column)} />
            ))}
          </div>
          <div class="try-actions">
            <button class="button button-main" disabled={isAsking.value}>
              {isAsking.value ? "Asking …" : "Ask"}
            </button>
            <button type="button" class="button" onClick={() => (fields.value = asFields(columns, firstRow(detail)))}>
              Example again
            </button>
            <span class="quiet">A real request: it is logged, and counts as one of this endpoint's predictions.</span>
          </div>
        </form>
      </Card>
      <div class="stack" aria-live="polite">
        {problem.value && <ProblemView problem={problem.value} />}
        {answer.value ? <Answer of={answer.value} /> : !problem.value && (
          <Card>
            <Empty title="No answer yet">Ask, and it stands here with the time it took.</Empty>
          </Card>
        )}
      </div>
    </div>
  );
}

function Field(props: { column: Column; fields: Signal<Fields>; wrong: boolean }) {
  const { column, fields } = props;
  const value = fields.value[column.name] ?? null;
  const set = (text: string | null) => (fields.value = { ...fields.value, [column.name]: text });
  const id = `try-${column.name}`;
  const common = { id, disabled: value === null, "aria-invalid": props.wrong, class: "input" };
  return (
    <div class={`try-field${column.shape ? " try-tensor" : ""}`}>
      <label for={id}>
        {column.name} <span class="faint">{column.shape ? `${column.datatype} [${column.shape.join(", ")}]` : (column.unit ?? column.type)}</span>
      </label>
      {column.shape ? (
        <textarea {...common} class="input mono" rows={4} spellcheck={false} value={value ?? ""} onInput={(typed) => set(typed.currentTarget.value)} />
      ) : column.type === "boolean" ? (
        <select {...common} value={value ?? ""} onChange={(chosen) => set(chosen.currentTarget.value)}>
          <option value="true">true</option>
          <option value="false">false</option>
        </select>
      ) : (
        <input
          {...common}
          type="text"
          inputMode={column.type === "double" ? "decimal" : column.type === "long" ? "numeric" : "text"}
          spellcheck={false}
          autocomplete="off"
          placeholder={value === null ? "missing" : ""}
          value={value ?? ""}
          onInput={(typed) => set(typed.currentTarget.value)}
        />
      )}
      {column.nullable && column.shape === null && (
        <label class="try-missing">
          <input type="checkbox" checked={value === null} onChange={(box) => set(box.currentTarget.checked ? null : "")} /> missing
        </label>
      )}
    </div>
  );
}

function Answer(props: { of: Answered }) {
  const { outputs, model, prediction, took } = props.of;
  const isShort = outputs.every((output) => output.data.length === 1);
  return (
    <Card title="The answer" aside={`${ms(took)} there and back`}>
      {isShort ? (
        <dl class="answer">
          {outputs.map((output) => (
            <div key={output.name}>
              <dt>{output.name}</dt>
              <dd class="number">{inline(output.data[0])}</dd>
            </div>
          ))}
        </dl>
      ) : (
        <Code text={outputs.map((output) => `${output.name} ${output.datatype} [${output.shape.join(", ")}]\n${JSON.stringify(output.data)}`).join("\n\n")} />
      )}
      <p class="try-by">
        answered by <RefLink to={model} />
        {prediction && (
          <>
            {" · "}
            <a class="ref" href={`/predictions/${pathOf(prediction)}`}>
              everything that led to it
            </a>
          </>
        )}
      </p>
    </Card>
  );
}

/** Send the row as any client would. */
async function predict(name: string, columns: readonly Column[], fields: Fields): Promise<Answered> {
  const row = Object.fromEntries(columns.map((column) => [column.name, valueOf(column, fields[column.name] ?? null)]));
  const inputs = inputsOf(columns, row);
  const began = performance.now();
  const reply = await ask<{ outputs: Output[]; model_version: string; parameters?: { prediction_ids?: string[]; model?: string } }>(
    `/v2/models/${pathOf(name)}/infer`,
    { inputs },
  );
  const took = performance.now() - began;
  return { outputs: reply.outputs, model: reply.parameters?.model ?? `model:${name}@${reply.model_version}`, prediction: reply.parameters?.prediction_ids?.[0], took };
}

/** What a field says, as its type; a text that is no number is sent as it is, and refused by the server with its place. */
function valueOf(column: Column, text: string | null): unknown {
  if (text === null) return null;
  if (column.shape !== null) {
    try {
      return JSON.parse(text);
    } catch {
      throw new ProblemError({ code: "", what: `${column.name} is no JSON`, why: `expected a list of shape [${shapeOf(column).join(", ")}]`, fix: "" });
    }
  }
  if (column.type === "boolean") return text === "true";
  if (column.type !== "double" && column.type !== "long") return text;
  const number = Number(text);
  return text.trim() === "" || Number.isNaN(number) ? text : number;
}

function asFields(columns: readonly Column[], row: Record<string, unknown>): Fields {
  return Object.fromEntries(columns.map((column) => [column.name, asText(column, row[column.name])]));
}

function asText(column: Column, value: unknown): string | null {
  if (value === null || value === undefined) return null;
  return column.shape === null && typeof value !== "object" ? String(value) : JSON.stringify(value);
}

/** Whether a problem names a column. */
function named(problem: Problem | null, column: Column): boolean {
  if (problem === null) return false;
  const said = `${problem.what} ${problem.why}`;
  return said.includes(`column '${column.name}'`) || said.includes(`input '${column.name}'`);
}
