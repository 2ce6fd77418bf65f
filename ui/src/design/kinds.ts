/** What each kind of thing looks like: its glyph, and the loop whose colour it wears. */
import { type IconName, isIcon } from "./icon";

const GLYPHS: Record<string, IconName> = {
  artifact: "file",
  dataset: "data",
  run: "runs",
  training: "runs",
  evaluation: "check",
  trial: "tuning",
  model: "registry",
  verdict: "gate",
  endpoint: "serve",
  prediction: "serve",
  deployment: "deploy",
  alert: "alert",
  report: "monitor",
  feature: "features",
  step: "pipeline",
  study: "tuning",
  trigger: "retrain",
};

const SOFTWARE = new Set(["verdict", "endpoint", "prediction", "deployment", "alert", "report", "monitor", "trigger", "feedback"]);

export function glyphOf(kind: string): IconName {
  return GLYPHS[kind] ?? (isIcon(kind) ? kind : "graph");
}

export function loopOf(kind: string): "model" | "software" {
  return SOFTWARE.has(kind) ? "software" : "model";
}
