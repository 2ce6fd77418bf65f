/** How one thing is joined to the next, in words: looking back to what it came from, or forward to what came of it. */

const BACK: Record<string, string> = {
  answered_by: "answered by",
  asked_with: "asked with",
  computed_by: "computed by",
  contains: "part of",
  deployed_as: "deploys",
  derived_from: "derived from",
  judged_in: "judges",
  measured: "measured by",
  produced: "produced by",
  raised: "raised by",
  read_by: "reads",
  reused_by: "reuses",
  serves: "routed by",
  set_off: "set off by",
  trained_on: "trained on",
  used: "used",
  watched_in: "watches",
};

const FORWARD: Record<string, string> = {
  derived_from: "went into",
  judged_in: "was judged in",
  measured: "measured",
  reused_by: "was reused by",
  read_by: "is read by",
  set_off: "set off",
  trained_on: "trained",
  used: "was used by",
  watched_in: "was watched in",
  deployed_as: "was deployed as",
};

export type Direction = "back" | "forward";

/** `trained_on` as "trained on" or "trained"; a relation without words of its own is read as it is written. */
export function relationWords(relation: string, direction: Direction, kind: string): string {
  // A prediction's trace names the verdicts on its model, which come after the model.
  if (relation === "judged_in" && kind === "verdict") return FORWARD[relation]!;
  return (direction === "back" ? BACK : FORWARD)[relation] ?? relation.replaceAll("_", " ");
}
