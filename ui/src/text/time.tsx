/** A moment: how long ago it was, and exactly when on hover. */
import { signal } from "@preact/signals";
import { absolute, ago } from "./format";

const now = signal(Date.now());
setInterval(() => {
  now.value = Date.now();
}, 5_000);

export function Time(props: { at: string }) {
  return (
    <time dateTime={props.at} title={absolute(props.at)}>
      {ago(props.at, Math.max(now.value, Date.now()))}
    </time>
  );
}
