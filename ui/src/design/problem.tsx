/** A failure, as the server tells it: what happened, why, and how to fix it. */
import type { Problem } from "../api-types";
import { keepToken } from "../api/token";
import { Code } from "./code";

const WANTS_TOKEN = "IL401";

export function ProblemView(props: { problem: Problem }) {
  const { code, what, why, fix } = props.problem;
  return (
    <section class="problem" role="alert">
      <p class="problem-code mono">{code}</p>
      <h2>{what.charAt(0).toUpperCase() + what.slice(1)}</h2>
      {why && <p class="quiet">{why}</p>}
      {code === WANTS_TOKEN ? <TokenForm /> : fix && <Code text={fix} label="What to try" />}
    </section>
  );
}

function TokenForm() {
  const keep = (submit: Event) => {
    submit.preventDefault();
    const box = (submit.currentTarget as HTMLFormElement).elements.namedItem("token") as HTMLInputElement;
    keepToken(box.value);
    location.reload();
  };
  return (
    <form class="token-form" onSubmit={keep}>
      <input class="input" name="token" type="password" required aria-label="Token" placeholder="Token" autocomplete="off" />
      <button class="button">Show it</button>
    </form>
  );
}
