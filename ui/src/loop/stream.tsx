/** The live stream of what happens at stations; a burst of one kind is one line with a count. */
import type { Event as LogEvent } from "../api-types";
import { Icon, isIcon } from "../design/icon";
import { RefLink } from "../design/ref-link";
import { Time } from "../text/time";
import { seatOf } from "./geometry";
import { stream } from "./live";
import { gist, stationOf, topicOf, verb } from "./words";

interface Burst {
  newest: LogEvent;
  /** Of the oldest event: what a line is known by while it grows. */
  seq: number;
  station: string;
  count: number;
}

const SHOWN = 30;

export function Stream() {
  const bursts = gather(stream.value).slice(0, SHOWN);
  return (
    <ol class="stream" aria-label="Recent events, newest first" aria-live="off">
      {bursts.map(({ newest, seq, station, count }) => {
        const topic = topicOf(newest);
        const happened = verb(newest);
        const words = gist(newest.payload);
        return (
          <li key={seq} class={`stream-${seatOf(station)?.loop}`} data-kind={newest.kind}>
            <span class="stream-icon">
              <Icon name={isIcon(station) ? station : "arrow"} size={15} />
            </span>
            <div>
              <p class="stream-what">
                <RefLink to={topic} withKind={!happened.includes(" ")} /> {happened}
                {count > 1 && <span class="stream-count number">×{count}</span>}
              </p>
              {words && (
                <p class="stream-gist" title={words}>
                  {words}
                </p>
              )}
            </div>
            <span class="stream-time faint">
              <Time at={newest.time} />
            </span>
          </li>
        );
      })}
    </ol>
  );
}

/** Neighbours of one kind and one thing become one line; so do runs of the same outcome, which come in droves. */
function gather(events: readonly LogEvent[]): Burst[] {
  const bursts: Burst[] = [];
  for (const event of events) {
    const station = stationOf(event);
    if (station === null) continue;
    const last = bursts.at(-1);
    if (last !== undefined && last.newest.kind === event.kind && sameLine(last.newest, event)) {
      last.count += 1;
      last.seq = event.seq;
    } else bursts.push({ newest: event, seq: event.seq, station, count: 1 });
  }
  return bursts;
}

function sameLine(one: LogEvent, other: LogEvent): boolean {
  return topicOf(one) === topicOf(other) || one.kind.startsWith("run.");
}
