/** The steps of a trace as a timeline: the further away, the further in; many of one kind share a line. */
import type { Trace, TraceStep } from "../api-types";
import { useResource } from "../api/resource";
import { Badge } from "../design/badge";
import { Icon } from "../design/icon";
import { glyphOf, loopOf } from "../design/kinds";
import { Card, Facts } from "../design/page";
import { RefLink, RefText } from "../design/ref-link";
import { parseRef, traceHref } from "../nav/refs";
import { moment, plural } from "../text/format";
import { type Direction, relationWords } from "../text/relations";
import "./steps.css";

/** More steps than this of one kind and relation, equally far away, share a line. */
const ALONE = 3;
/** Steps further away than this are folded. */
const NEAR = 3;
/** More facts than this are folded. */
const FACTS = 4;
/**
 * Within one distance: who answered, how it came about, from what; models after that, because what is further away is
 * mostly theirs; and last what was said about it.
 */
const ORDER = "prediction deployment endpoint run dataset labels feature artifact model alert report monitor verdict".split(" ");

interface StepsProps {
  steps: readonly TraceStep[];
  direction: Direction;
}

export function Steps(props: StepsProps) {
  const near = props.steps.filter((step) => step.depth <= NEAR);
  const far = props.steps.filter((step) => step.depth > NEAR);
  return (
    <>
      <Distances {...props} steps={near} />
      {far.length > 0 && (
        <details class="way-far">
          <summary>{plural(far.length, "step")} further away</summary>
          <Distances {...props} steps={far} />
        </details>
      )}
    </>
  );
}

/** The nearest steps, and within the last of them those that are further away. */
function Distances(props: StepsProps) {
  const nearest = Math.min(...props.steps.map((step) => step.depth));
  const here = props.steps.filter((step) => step.depth === nearest);
  const further = props.steps.filter((step) => step.depth > nearest);
  return (
    <ol class="way" aria-label={`${plural(nearest, "step")} ${props.direction}`}>
      {gathered(here).map((group) =>
        group.length > ALONE ? (
          <Crowd key={group[0]!.ref} steps={group} direction={props.direction} />
        ) : (
          group.map((step) => <Step key={step.ref} step={step} direction={props.direction} />)
        ),
      )}
      {further.length > 0 && (
        <li class="way-further">
          <p class="way-distance">{`${plural(Math.min(...further.map((step) => step.depth)), "step")} ${props.direction}`}</p>
          <Distances {...props} steps={further} />
        </li>
      )}
    </ol>
  );
}

/** Steps of one kind and relation together, in the order in which kinds are told. */
function gathered(steps: readonly TraceStep[]): TraceStep[][] {
  const groups = new Map<string, TraceStep[]>();
  for (const step of steps) {
    const key = `${step.relation} ${kindOf(step)}`;
    groups.set(key, [...(groups.get(key) ?? []), step]);
  }
  const place = (group: TraceStep[]) => (ORDER.indexOf(kindOf(group[0]!)) + ORDER.length + 1) % (ORDER.length + 1);
  return [...groups.values()].sort((a, b) => place(a) - place(b));
}

function kindOf(step: TraceStep): string {
  return parseRef(step.ref)?.kind ?? "";
}

function Step(props: { step: TraceStep; direction: Direction }) {
  const { step } = props;
  const kind = kindOf(step);
  return (
    <li class={`way-step way-${loopOf(kind)}`} data-kind={kind}>
      <StepHead kind={kind} words={relationWords(step.relation, props.direction, kind)}>
        <RefLink to={step.ref} withKind />
      </StepHead>
      {step.title !== kind && <StepTitle text={step.title} />}
      {kind === "verdict" ? <Checks of={step.facts} /> : <StepFacts of={step.facts} />}
    </li>
  );
}

function StepHead(props: { kind: string; words: string; children: preact.ComponentChildren }) {
  return (
    <p class="way-head">
      <span class="way-icon">
        <Icon name={glyphOf(props.kind)} size={16} />
      </span>
      <span class="quiet">{props.words}</span> {props.children}
    </p>
  );
}

const EQUAL = /,? (equal to|NOT) what was served$/;

/** The line on a step; whether the stored row is the one that was served stands out. */
function StepTitle(props: { text: string }) {
  const found = EQUAL.exec(props.text);
  if (found === null)
    return (
      <p class="way-title">
        <RefText text={props.text} />
      </p>
    );
  const isEqual = found[1] !== "NOT";
  return (
    <p class="way-title">
      {props.text.replace(EQUAL, "")}{" "}
      <Badge tone={isEqual ? "good" : "bad"}>{isEqual ? "equal to what was served" : "not what was served"}</Badge>
    </p>
  );
}

export function StepFacts(props: { of: Record<string, string>; all?: boolean; unit?: string }) {
  const facts = Object.entries(props.of).map(([name, value]) => [name, <RefText text={inWords(value)} />] as const);
  if (facts.length === 0) return null;
  if (props.all || facts.length <= FACTS) return <Facts of={facts} />;
  return (
    <details>
      <summary>{plural(facts.length, props.unit ?? "fact")}</summary>
      <Facts of={facts} />
    </details>
  );
}

/** What a verdict rests on; a single check is what the verdict's own line says. */
function Checks(props: { of: Record<string, string> }) {
  return Object.keys(props.of).length === 1 ? null : <StepFacts of={props.of} unit="check" />;
}

/** A fact that is a moment, as people write one. */
function inWords(value: string): string {
  return /^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)$/.test(value) ? moment(value) : value;
}

/** Many steps of one kind on one line, each still a link. */
function Crowd(props: { steps: readonly TraceStep[]; direction: Direction }) {
  const kind = kindOf(props.steps[0]!);
  const steps = [...props.steps].sort((a, b) => a.ref.localeCompare(b.ref, "en", { numeric: true }));
  return (
    <li class={`way-step way-${loopOf(kind)}`} data-kind={kind}>
      <StepHead kind={kind} words={relationWords(steps[0]!.relation, props.direction, kind)}>
        <strong>{plural(steps.length, kind.replace(/s$/, ""))}</strong>
      </StepHead>
      <p class="way-crowd">
        {steps.map((step) => (
          <RefLink key={step.ref} to={step.ref} />
        ))}
      </p>
    </li>
  );
}

/** What is next to a thing on both sides, in a card of the thing's own page. */
export function Nearby(props: { of: string }) {
  const trace = useResource<Trace>(`/trace?ref=${encodeURIComponent(props.of)}`).data;
  if (trace === null || trace.back.length + trace.forward.length === 0) return null;
  const next = (steps: readonly TraceStep[]) => steps.filter((step) => step.depth === 1).map((step) => ({ ...step, facts: {} }));
  return (
    <Card
      title="Where it came from, and what came of it"
      aside={
        <a class="ref" href={traceHref(trace.ref)}>
          the whole trace, {plural(trace.back.length + trace.forward.length, "step")}
        </a>
      }
    >
      <div class="both-ways">
        <Side steps={next(trace.back)} direction="back" />
        <Side steps={next(trace.forward)} direction="forward" />
      </div>
    </Card>
  );
}

export function Side(props: StepsProps) {
  if (props.steps.length > 0) return <Steps {...props} />;
  return <p class="quiet">{props.direction === "back" ? "It was made from nothing that is recorded." : "Nothing has come of it yet."}</p>;
}
