/** Commands and programs that ask an endpoint one row: one per protocol and client. */
import type { Column } from "../api-types";
import { pathOf } from "../api/client";
import type { Input } from "./endpoint-rows";

export interface Asked {
  origin: string;
  name: string;
  columns: readonly Column[];
  row: Record<string, unknown>;
  inputs: readonly Input[];
}

export interface Snippet {
  id: string;
  title: string;
  protocol: string;
  /** What has to be installed or known first. */
  needs?: string;
  text: string;
}

const OIP = "Open Inference Protocol v2";

export function snippets(asked: Asked): Snippet[] {
  const { origin, name, columns, row, inputs } = asked;
  const path = pathOf(name);
  const isTensor = columns.some((column) => column.shape !== null);
  const record = spaced(row);
  const all: (Snippet | false)[] = [
    { id: "curl", title: "curl", protocol: OIP, text: curl(`${origin}/v2/models/${path}/infer`, oipBody(inputs)) },
    !isTensor && {
      id: "interlock",
      title: "interlock",
      protocol: "this package",
      text: `import interlock as il\n\nendpoint = il.endpoint(${quoted(name)})\nprint(endpoint.predict([${python(row)}]))`,
    },
    { id: "triton", title: "tritonclient", protocol: `${OIP}, binary tensors`, needs: "pip install tritonclient[http] numpy", text: triton(asked) },
    { id: "grpc", title: "gRPC", protocol: `${OIP} over gRPC`, needs: "pip install tritonclient[grpc] numpy; the server: interlock serve … --grpc-port 8001", text: triton(asked, "grpc") },
    { id: "kserve", title: "kserve", protocol: OIP, needs: "pip install kserve", text: kserve(asked) },
    !isTensor && {
      id: "mlflow",
      title: "MLflow",
      protocol: "MLflow scoring, /invocations",
      text: curl(`${origin}/endpoints/${path}/invocations`, `{"dataframe_records": [${record}]}`),
    },
    !isTensor && { id: "v1", title: "KServe V1", protocol: "KServe V1", text: curl(`${origin}/v1/models/${path}:predict`, `{"instances": [${record}]}`) },
    !isTensor && { id: "sagemaker", title: "SageMaker", protocol: "SageMaker runtime", needs: "pip install boto3", text: sagemaker(asked) },
    {
      id: "javascript",
      title: "JavaScript",
      protocol: OIP,
      text: `const reply = await fetch(${quoted(`${origin}/v2/models/${path}/infer`)}, {\n  method: "POST",\n  headers: { "content-type": "application/json" },\n  body: JSON.stringify(${oipBody(inputs)}),\n});\nconsole.log((await reply.json()).outputs);`,
    },
  ];
  return all.filter((one) => one !== false);
}

/** A command for a POSIX shell. */
export function curl(address: string, body: string): string {
  const quoted = `'${body.replaceAll("'", "'\\''")}'`;
  return `curl ${address} \\\n  -H 'content-type: application/json' \\\n  -d ${quoted}`;
}

/** JSON on one line, with room to read it. */
export function spaced(value: unknown): string {
  return JSON.stringify(value, null, 1).replace(/\n\s*/g, " ").replace(/([[{]) /g, "$1").replace(/ ([\]}])/g, "$1");
}

function oipBody(inputs: readonly Input[]): string {
  return `{"id": "my-row-1", "inputs": [\n  ${inputs.map(spaced).join(",\n  ")}\n]}`;
}

const NUMPY: Record<string, string> = {
  BOOL: "bool",
  INT8: "np.int8",
  INT16: "np.int16",
  INT32: "np.int32",
  INT64: "np.int64",
  UINT8: "np.uint8",
  UINT16: "np.uint16",
  UINT32: "np.uint32",
  UINT64: "np.uint64",
  FP16: "np.float16",
  FP32: "np.float32",
  FP64: "np.float64",
  BYTES: "object",
};

function triton({ origin, name, inputs }: Asked, transport: "http" | "grpc" = "http"): string {
  const host = new URL(origin);
  const address = transport === "http" ? host.host : `${host.hostname}:8001`;
  const rows = inputs.map(({ name, datatype, data }) => `    ${quoted(name)}: np.array(${python(data, datatype)}, ${NUMPY[datatype] ?? "object"}),`);
  const names =
    transport === "http"
      ? 'print({one["name"]: reply.as_numpy(one["name"]) for one in reply.get_response()["outputs"]})'
      : "print({one.name: reply.as_numpy(one.name) for one in reply.get_response().outputs})";
  return [
    "import numpy as np",
    `import tritonclient.${transport} as client`,
    "from tritonclient.utils import np_to_triton_dtype",
    "",
    `server = client.InferenceServerClient(${quoted(address)})`,
    "row = {",
    ...rows,
    "}",
    "inputs = []",
    "for name, values in row.items():",
    "    inputs.append(client.InferInput(name, values.shape, np_to_triton_dtype(values.dtype)))",
    "    inputs[-1].set_data_from_numpy(values)",
    `reply = server.infer(${quoted(name)}, inputs)`,
    names,
  ].join("\n");
}

function kserve({ origin, name, inputs }: Asked): string {
  return [
    "import asyncio",
    "",
    "from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig",
    "",
    "",
    "async def main():",
    '    client = InferenceRESTClient(RESTConfig(protocol="v2"))',
    "    inputs = [",
    ...inputs.map((one) => `        InferInput(${quoted(one.name)}, ${python(one.shape)}, ${quoted(one.datatype)}, data=${python(one.data, one.datatype)}),`),
    "    ]",
    `    reply = await client.infer(${quoted(origin)}, InferRequest(${quoted(name)}, inputs), model_name=${quoted(name)})`,
    "    print({one.name: one.data for one in reply.outputs})",
    "",
    "",
    "asyncio.run(main())",
  ].join("\n");
}

function sagemaker({ origin, name, row }: Asked): string {
  return [
    "import json",
    "",
    "import boto3",
    "",
    `runtime = boto3.client("sagemaker-runtime", endpoint_url=${quoted(origin)}, region_name="us-east-1",`,
    '                       aws_access_key_id="none", aws_secret_access_key="none")',
    `reply = runtime.invoke_endpoint(EndpointName=${quoted(name)}, ContentType="application/json",`,
    `                                Body=json.dumps({"dataframe_records": [${python(row)}]}))`,
    'print(json.load(reply["Body"])["predictions"])',
  ].join("\n");
}

/** A plain value as Python writes it; texts that stand for bytes as texts. */
function python(value: unknown, datatype = ""): string {
  if (value === null || value === undefined) return datatype.startsWith("FP") ? "np.nan" : "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map((one) => python(one, datatype)).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([key, one]) => `${quoted(key)}: ${python(one)}`).join(", ")}}`;
  return JSON.stringify(value);
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
