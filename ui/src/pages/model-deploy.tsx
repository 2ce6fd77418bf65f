/** Bring a version behind an endpoint: the same way as `il.deploy` and `interlock deploy`. */
import { useSignal } from "@preact/signals";
import type { ModelVersion, Outcome, Problem } from "../api-types";
import { apiUrl, ask, pathOf, ProblemError } from "../api/client";
import { Icon } from "../design/icon";
import { ProblemView } from "../design/problem";
import { State } from "../design/badge";
import { percent } from "../text/format";
import "./endpoint.css";

const ROLES = [
  { id: "live", says: "answers every caller" },
  { id: "canary", says: "answers a share of the callers" },
  { id: "shadow", says: "hears every request, answers none" },
] as const;

export function Deploy(props: { version: ModelVersion }) {
  const { version } = props;
  const isOpen = useSignal(false);
  if (!isOpen.value)
    return (
      <button type="button" class="button button-main deploy-open" disabled={!version.engine} onClick={() => (isOpen.value = true)}>
        <Icon name="deploy" size={16} /> Deploy
      </button>
    );
  return <Form key={version.version} version={version} close={() => (isOpen.value = false)} />;
}

function Form(props: { version: ModelVersion; close: () => void }) {
  const { version } = props;
  const endpoint = useSignal(version.model);
  const role = useSignal<(typeof ROLES)[number]["id"]>("live");
  const share = useSignal(10);
  const isBusy = useSignal(false);
  const problem = useSignal<Problem | null>(null);
  const outcome = useSignal<Outcome | null>(null);

  const send = async () => {
    isBusy.value = true;
    problem.value = outcome.value = null;
    try {
      outcome.value = await ask<Outcome>(apiUrl("/deploy"), {
        model: `model:${version.model}@${version.version}`,
        endpoint: endpoint.value,
        role: role.value,
        share: share.value / 100,
      });
    } catch (failure) {
      if (!(failure instanceof ProblemError)) throw failure;
      problem.value = failure.problem;
    } finally {
      isBusy.value = false;
    }
  };
  return (
    <form
      class="deploy"
      onSubmit={(submit) => {
        submit.preventDefault();
        void send();
      }}
    >
      <label>
        Endpoint
        <input class="input" required value={endpoint.value} spellcheck={false} onInput={(typed) => (endpoint.value = typed.currentTarget.value)} />
      </label>
      <div class="pills" role="group" aria-label="Role">
        {ROLES.map((one) => (
          <button key={one.id} type="button" aria-pressed={role.value === one.id} title={one.says} onClick={() => (role.value = one.id)}>
            {one.id}
          </button>
        ))}
      </div>
      {role.value === "canary" && (
        <label>
          Share of the callers, %
          <input class="input" type="number" min={1} max={99} value={share.value} onInput={(typed) => (share.value = typed.currentTarget.valueAsNumber)} />
        </label>
      )}
      <p class="quiet">{ROLES.find((one) => one.id === role.value)?.says}; the gate is asked first, and a version that answers otherwise than it was registered is taken back.</p>
      <div class="try-actions">
        <button class="button button-main" disabled={isBusy.value}>
          {isBusy.value ? "Deploying …" : `Deploy @${version.version}`}
        </button>
        <button type="button" class="button" onClick={props.close}>
          Close
        </button>
      </div>
      {problem.value && <ProblemView problem={problem.value} />}
      {outcome.value && <Done of={outcome.value} />}
    </form>
  );
}

function Done(props: { of: Outcome }) {
  const { endpoint, role, share, revision, notes, seconds } = props.of;
  return (
    <div class="deploy-done" role="status">
      <p>
        <State of={role} /> {role === "canary" && percent(share)} behind{" "}
        <a class="ref" href={`/endpoints/${pathOf(endpoint)}`}>
          {endpoint}
        </a>{" "}
        since revision {revision}, after {seconds} s
      </p>
      <ul class="quiet">
        {notes.map((note) => (
          <li key={note}>{note}</li>
        ))}
      </ul>
    </div>
  );
}
