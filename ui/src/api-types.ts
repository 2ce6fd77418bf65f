// Written by `python -m interlock.server.typescript`; do not edit.
// Times are ISO 8601 strings in UTC. A measured number that is NaN or infinite arrives as null.

/** A monitor that fired; its Ref is `alert:<id>`, the id that of the report which raised it. */
export interface Alert {
  id: string
  monitor: string
  report: string
  opened_at: string
  reason: string
  closed_at: string | null
  resolution: string | null
}

/** One change of where an alias points; `version` None means it was removed. */
export interface AliasMove {
  model: string
  alias: string
  version: number | null
  previous: number | null
  time: string
  reason: string
  verdict: string | null
}

/** One file of a run: a path within the run, and the content it names. */
export interface ArtifactEntry {
  path: string
  digest: string
  size_bytes: number
}

/** An argument of a call as people are shown it; empty for what another step gave. */
export interface CallArgument {
  name: string
  text: string
}

/** One of several calls that are drawn as one node. */
export interface CallRow {
  node: number
  status: string
  duration_s: number
  reason: string
}

/** A call whose output is taken by another. */
export interface CallSource {
  node: number
  step: string
  status: string
  output: OutputPreview | null
}

/** One named column, or one named tensor. */
export interface Column {
  name: string
  type: "binary" | "boolean" | "datetime" | "double" | "long" | "string"
  nullable: boolean
  unit: string | null
  shape: number[] | null
  datatype: string
}

/** What runs have in common and in what they differ. */
export interface Comparison {
  runs: Run[]
  differences: Difference[]
  same: Record<string, number>
  words: string[]
  code_diff: string
}

/** `GET /api/v1/datasets/{name}`: snapshots newest first; the profile of the newest as plain values. */
export interface DatasetDetail {
  name: string
  snapshots: Snapshot[]
  profile: Record<string, unknown> | null
}

/** A dataset that a run read, as its client described it. */
export interface DatasetUse {
  name: string
  digest: string
  context: string
  source_type: string
  source: string
  schema: string
  profile: string
  tags: Record<string, string>
}

/** A model version behind an endpoint. */
export interface Deployment {
  model: string
  role: "canary" | "live" | "shadow"
  share: number
}

/** One thing in which runs differ; `values` are in the order of the runs, None where a run lacks it. */
export interface Difference {
  part: string
  name: string
  values: unknown[]
}

/** An output that goes from one drawn node to another; `bends` are x and y in turn of the points between them. */
export interface DrawnEdge {
  source: number
  target: number
  bends: number[]
}

/** Calls that are drawn as one node; x and y of its middle in pixels, laid out on the server. */
export interface DrawnNode {
  id: number
  node: number
  step: string
  group: string
  calls: number
  status: string
  statuses: Record<string, number>
  reason: string
  started_at: number
  duration_s: number
  error: string | null
  x: number
  y: number
}

/** A stable address; its Ref is `endpoint:<name>`. */
export interface Endpoint {
  name: string
  revision: number
  deployments: Deployment[]
  created_at: string
  changed_at: string
  reason: string
}

/** `GET /api/v1/endpoints/{name}`; `example` is a row that the live version takes, by column, if one is kept. */
export interface EndpointDetail {
  endpoint: Endpoint
  history: Endpoint[]
  counts: Record<string, number>
  recent: PredictionRow[]
  versions: ModelVersion[]
  example: Record<string, unknown> | null
}

/** `GET /api/v1/endpoints/{name}/traffic`: the last hour by minutes, and all so far by versions. */
export interface EndpointTraffic {
  minutes: TrafficMinute[]
  versions: VersionTraffic[]
  url: string | null
}

/** Something that happened. */
export interface Event {
  seq: number
  id: string
  time: string
  kind: string
  subject: string
  actor: string
  payload: Record<string, unknown>
}

/** A named group of runs; a `/` in its name puts it into a folder. */
export interface Experiment {
  id: number
  name: string
  created_at: string
  updated_at: string
  tags: Record<string, string>
  deleted_at: string | null
  artifact_root: string
}

/** `GET /api/v1/experiments/level?under=…`: what lies in one folder of experiments. */
export interface ExperimentLevel {
  under: string
  folders: Folder[]
  experiments: ExperimentRow[]
  total: number
  after: string | null
}

/** An experiment with how many runs it has, and when the newest began. */
export interface ExperimentRow {
  experiment: Experiment
  runs: number
  newest_at: string | null
}

/** How many files there are, and how large they are together. */
export interface FileCount {
  files: number
  size_bytes: number
}

/** A folder of files, by its whole path. */
export interface FileFolder {
  path: string
  files: number
  size_bytes: number
}

/** `GET /api/v1/runs/{id}/head?path=…`: the beginning of a file, as far as it can be shown. */
export interface FileHead {
  file: ArtifactEntry
  kind: "binary" | "html" | "json" | "media" | "table" | "text"
  text: string
  columns: string[]
  rows: unknown[][]
  total_rows: number | null
  is_whole: boolean
  why: string
}

/** A folder of experiments. */
export interface Folder {
  path: string
  experiments: number
}

/** One rule of a gate, and how it came out. */
export interface GateCheck {
  name: string
  passed: boolean
  value: number | null
  low: number | null
  high: number | null
  threshold: number | null
  detail: string
}

/** One edge of a lineage picture. */
export interface GraphEdge {
  source: string
  target: string
  relation: string
}

/** One thing in a lineage picture; x and y in pixels, laid out on the server. */
export interface GraphNode {
  ref: string
  kind: string
  label: string
  x: number
  y: number
}

/** What became of the calls of one step in one run; `node` is the one to look at first. */
export interface GridCell {
  status: string
  calls: number
  node: number
  duration_s: number
  reason: string
}

/** One step of a pipeline, run by run, in the order of the runs. */
export interface GridRow {
  step: string
  cells: (GridCell | null)[]
}

/** Runs of equal settings. */
export interface Group {
  settings: Record<string, unknown>
  runs: string[]
  values: (number | null)[]
  mean: number | null
  low: number | null
  high: number | null
  spread: number | null
}

/** `GET /api/v1/lineage?ref=…`: what a thing was made from and what was made from it. */
export interface LineageView {
  ref: string
  nodes: GraphNode[]
  edges: GraphEdge[]
  width: number
  height: number
}

/** `GET /api/v1/loop`: the home page. */
export interface LoopView {
  workspace: string
  stations: Station[]
  recent: Event[]
  last_seq: number
}

/** A model that a step made or returned, with its card. */
export interface MadeModel {
  ref: string
  card: string
}

/** One thing that was logged at one step, its file to show first before its others. */
export interface MediaEntry {
  step: number
  time: number
  caption: string
  facts: Record<string, unknown>
  files: ArtifactEntry[]
}

/** What was logged under one key: at which steps, in order; an item has the number of its step here. */
export interface MediaKey {
  kind: string
  key: string
  steps: number[]
}

/** `GET /api/v1/runs/{id}/media/{kind}/{key}?start=…`: some items of one key, by step. */
export interface MediaPage {
  start: number
  total: number
  entries: MediaEntry[]
}

/** What a metric series comes to: first and last are by step, then time, then arrival. */
export interface MetricSummary {
  key: string
  last: number | null
  first: number | null
  min: number | null
  max: number | null
  mean: number | null
  count: number
  last_step: number
  last_time: number
}

/** `GET /api/v1/models/{name}`. */
export interface ModelDetail {
  name: string
  versions: ModelVersion[]
  aliases: Record<string, number>
  moves: AliasMove[]
  verdicts: Verdict[]
  card: string | null
}

/** One row of `GET /api/v1/models`. */
export interface ModelSummary {
  name: string
  newest: ModelVersion
  aliases: Record<string, number>
}

/** A logged model that a run read or made, at a step. */
export interface ModelUse {
  model: string
  role: "input" | "output"
  step: number
}

/** One immutable packaged model; its Ref is `model:<model>@<version>`. */
export interface ModelVersion {
  model: string
  version: number
  created_at: string
  files: PackageFile[]
  signature: Signature
  flavor: string
  engine: string
  run: string | null
  metrics: Record<string, number | null>
  tags: Record<string, string>
  card: string | null
  example: string | null
  facts: Record<string, unknown>
}

/** A standing question about an endpoint; its Ref is `monitor:<name>`. */
export interface Monitor {
  name: string
  endpoint: string
  kind: string
  metric: string
  threshold: number
  direction: string
  window_s: number
  min_rows: number
  settings: Record<string, unknown>
}

/** `GET /api/v1/monitors/{name}`: reports oldest first. */
export interface MonitorDetail {
  monitor: Monitor
  reports: Report[]
  alerts: Alert[]
}

/** One row of `GET /api/v1/monitors`. */
export interface MonitorSummary {
  monitor: Monitor
  latest: Report | null
  open_alerts: number
}

/** What a deployment came to. */
export interface Outcome {
  endpoint: string
  url: string
  model: string
  engine: string
  role: string
  share: number
  revision: number
  verdict: Verdict | null
  notes: string[]
  seconds: number
}

/** The beginning of a stored output, as far as it can be shown without running anything. */
export interface OutputPreview {
  form: string
  digest: string
  size_bytes: number
  kind: "fields" | "hidden" | "picture" | "table" | "text"
  text: string
  columns: string[]
  rows: unknown[][]
  total_rows: number | null
  picture: string
  refs: string[]
  why: string
  parts: Record<string, OutputPreview>
}

/** One file of a model's `MLmodel` folder. */
export interface PackageFile {
  path: string
  digest: string
  size_bytes: number
}

/** One Parquet file of a snapshot. */
export interface Part {
  digest: string
  size_bytes: number
  rows: number
}

/** `GET /api/v1/pipelines/runs/{id}/graph`: the whole picture, or the nodes of it that changed. */
export interface PipelineGraph {
  run: PipelineRunRow
  change: number
  calls: number
  is_whole: boolean
  statuses: Record<string, number>
  nodes: DrawnNode[]
  edges: DrawnEdge[]
  width: number
  height: number
}

/** `GET /api/v1/pipelines/{name}`: runs newest first, steps in the order of their calls; pass `after` for more. */
export interface PipelineHistory {
  name: string
  runs: PipelineRunRow[]
  steps: GridRow[]
  schedules: ScheduleRow[]
  after: string | null
}

/** `GET /api/v1/pipelines`: those that ran of late, newest first, and everything that starts by itself. */
export interface PipelineList {
  pipelines: PipelineRow[]
  schedules: ScheduleRow[]
}

/** A pipeline by its name: how many of the newest runs are its, and the newest of them. */
export interface PipelineRow {
  name: string
  experiment: string
  runs: number
  recent: PipelineRunRow[]
  schedules: string[]
}

/** One run of a pipeline, in short. */
export interface PipelineRunRow {
  id: string
  name: string
  experiment: string
  status: string
  started_at: string
  ended_at: string | null
  error: string | null
  resumes: string
}

/** One answer, with its truth if that is known. */
export interface PredictionRow {
  id: string
  model: string
  role: string
  event_time: string
  inputs: Record<string, unknown>
  outputs: Record<string, unknown>
  truth: unknown
}

/** The body of every error answer. */
export interface Problem {
  code: string
  what: string
  why: string
  fix: string
}

/** What a monitor saw in one window; its Ref is `report:<id>`. */
export interface Report {
  id: string
  monitor: string
  start: string
  end: string
  rows: number
  value: number | null
  low: number | null
  high: number | null
  breached: boolean
  model: string
  details: Record<string, unknown>
}

/** Any recorded execution. */
export interface Run {
  id: string
  experiment: string
  kind: string
  name: string
  status: "failed" | "finished" | "killed" | "running" | "scheduled"
  started_at: string
  ended_at: string | null
  parent: string | null
  params: Record<string, unknown>
  tags: Record<string, string>
  code: Record<string, unknown>
  libraries: Record<string, string>
  environment: Record<string, unknown>
  metrics: Record<string, MetricSummary>
  error: string | null
  datasets: DatasetUse[]
  models: ModelUse[]
  deleted_at: string | null
}

/** `GET /api/v1/runs/{id}`: the first of its files that are no media, and how many there are in all. */
export interface RunDetail {
  run: Run
  children: Run[]
  artifacts: ArtifactEntry[]
  files: FileCount
  has_media: boolean
}

/** `GET /api/v1/runs/{id}/files?under=…`: what lies in one folder; pass `after` for the next files. */
export interface RunFiles {
  under: string
  folders: FileFolder[]
  files: ArtifactEntry[]
  after: string | null
}

/** What runs of late logged, by name. */
export interface RunKeys {
  attributes: string[]
  params: string[]
  metrics: string[]
  tags: string[]
  experiments: string[]
}

/** Some runs, and what to pass as `after` for the next ones, None at the end. */
export interface RunPage {
  runs: Run[]
  after: string | null
}

/** What starts something by itself: a schedule of a pipeline, or another trigger. */
export interface ScheduleRow {
  name: string
  action: string
  pipeline: string
  target: string
  arguments: Record<string, unknown>
  cron: string | null
  time_zone: string
  on: string | null
  where: Record<string, unknown>
  next_at: string | null
  is_enabled: boolean
}

/** `GET /api/v1/runs/{id}/metrics/{key}`: parallel arrays; times in microseconds since 1970 UTC. */
export interface Series {
  key: string
  steps: number[]
  values: (number | null)[]
  times: number[]
}

/** What a model takes and gives, column by column. */
export interface Signature {
  inputs: Column[]
  outputs: Column[]
}

/** One immutable version of a dataset; its Ref is `dataset:<dataset>@<version>`. */
export interface Snapshot {
  dataset: string
  version: number
  created_at: string
  parts: Part[]
  rows: number
  columns: Column[]
  content: string
  profile: string | null
  quarantine: string | null
  quarantined_rows: number
  violations: Record<string, number>
  message: string
  source: string
  tags: Record<string, unknown>
}

/** One station of the loop. */
export interface Station {
  id: string
  title: string
  loop: "model" | "software"
  state: "active" | "attention" | "empty" | "idle"
  count: number
  unit: string
  headline: string
  last: Event | null
  href: string | null
}

/** `GET /api/v1/pipelines/runs/{id}/calls/{node}`: one step call, with its inputs and its output previewed. */
export interface StepCall {
  node: number
  step: string
  group: string
  status: string
  reason: string
  key: string
  run: string
  started_at: number
  duration_s: number
  error: string | null
  arguments: CallArgument[]
  sources: CallSource[]
  source_count: number
  output: OutputPreview | null
  models: MadeModel[]
  log: string
  is_log_whole: boolean
  doubts: string[]
  alike: CallRow[]
  alike_count: number
}

/** The ways from one thing. */
export interface Trace {
  ref: string
  title: string
  facts: Record<string, string>
  back: TraceStep[]
  forward: TraceStep[]
}

/** One thing on the way. */
export interface TraceStep {
  ref: string
  relation: string
  title: string
  facts: Record<string, string>
  depth: number
}

/** What an endpoint was asked in one minute. */
export interface TrafficMinute {
  at: number
  requests: number
  rows: number
  failures: number
  p50_ms: number | null
  p90_ms: number | null
  p99_ms: number | null
}

/** What a gate said about a candidate; its Ref is `verdict:<id>`. */
export interface Verdict {
  id: string
  model: string
  candidate: string
  champion: string | null
  passed: boolean
  checks: GateCheck[]
  reason: string
  data: string | null
  created_at: string
  stage: string
}

/** What one version did in one role since it was first served here. */
export interface VersionTraffic {
  model: string
  role: string
  requests: number
  rows: number
  failures: number
  problem: string
  p50_ms: number | null
  p90_ms: number | null
  p99_ms: number | null
}
