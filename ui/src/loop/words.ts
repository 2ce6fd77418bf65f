/** What an event means for the loop: its station, and what happened in words. */
import type { Event as LogEvent } from "../api-types";
import { isId, parseRef } from "../nav/refs";
import { figure, plural } from "../text/format";

/** Kinds of event, by exact name or by the noun before the dot. The first match wins. */
const STATION_OF: readonly (readonly [string, string])[] = [
  ["feedback.", "feedback"],
  ["dataset.", "data"],
  ["labels.", "labels"],
  ["feature.", "features"],
  ["pipeline.", "pipeline"],
  ["step.", "pipeline"],
  ["study.", "tuning"],
  ["trial.", "tuning"],
  ["run.", "runs"],
  ["experiment.", "runs"],
  ["model.", "registry"],
  ["gate.", "gate"],
  ["endpoint.", "deploy"],
  ["rollout.", "deploy"],
  ["prediction", "serve"],
  ["service.", "serve"],
  ["monitor.", "monitor"],
  ["alert.", "monitor"],
  ["trigger.", "retrain"],
  ["retrain.", "retrain"],
];

/** Kinds of run that belong to another station than the runs. */
const STATION_OF_RUN: Record<string, string> = { pipeline: "pipeline", step: "pipeline", study: "tuning", trial: "tuning" };

export function stationOf(event: LogEvent): string | null {
  if (event.kind.startsWith("run.")) {
    const own = STATION_OF_RUN[String(event.payload["kind"] ?? "")];
    if (own !== undefined) return own;
  }
  return STATION_OF.find(([prefix]) => event.kind.startsWith(prefix))?.[1] ?? null;
}

/** What an event is about for people: the candidate that was judged, the monitor that fired; else its subject. */
export function topicOf(event: LogEvent): string {
  const { candidate, monitor } = event.payload;
  if (typeof candidate === "string") return candidate;
  return typeof monitor === "string" && event.kind.startsWith("alert.") ? `monitor:${monitor}` : event.subject;
}

/** What happened: `alias set` for `model.alias_set` of a model, `gate passed` where the noun is not the topic's. */
export function verb(event: LogEvent): string {
  const [noun = "", happened = ""] = event.kind.split(".");
  const words = happened.replaceAll("_", " ");
  return topicOf(event).startsWith(`${noun}:`) ? words : `${noun} ${words}`;
}

/** Fields that are a sentence by themselves; the first that is there says it all. */
const SENTENCES = ["reason", "outcome", "resolution", "error"];
/** Fields that the line says already, or that only machines read. */
const LEFT_OUT = new Set(
  "experiment endpoint model candidate champion monitor metric at event upto as_of since start end version".split(" "),
);
/** Values that speak for themselves, without the name of their field. */
const PLAIN = new Set(["kind", "name"]);
const LONGEST = 60;

/** The payload in one line: the sentence in it if there is one, else its plain values. */
export function gist(payload: Record<string, unknown>): string {
  const sentence = SENTENCES.map((key) => payload[key]).find((value) => typeof value === "string" && value !== "");
  if (typeof sentence === "string") return lastLine(sentence);
  const words = Object.entries(payload).map(([key, value]) => {
    if (LEFT_OUT.has(key)) return "";
    if (typeof value === "number") return numberInWords(key, value, payload);
    return typeof value === "string" ? textInWords(key, value) : "";
  });
  return words.filter(Boolean).slice(0, 3).join(" · ");
}

/** A traceback says what went wrong in its last line. */
function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}

function numberInWords(key: string, value: number, payload: Record<string, unknown>): string {
  if (value === 0) return "";
  if (key === "count") return plural(value, "item");
  if (key === "value") return `${payload["metric"] ?? key} ${figure(value)}`;
  return /rows|accepted|executed|reused/.test(key) ? `${figure(value)} ${key.replaceAll("_", " ")}` : `${key} ${figure(value)}`;
}

function textInWords(key: string, value: string): string {
  const name = parseRef(value)?.name ?? value;
  if (value === "" || value.length > LONGEST || isId(name)) return "";
  return PLAIN.has(key) ? value : `${key} ${value}`;
}
