/** The two interlocked loops: the belt drawn in SVG, the stations laid over it as links. */
import { useEffect, useRef } from "preact/hooks";
import type { Station } from "../api-types";
import { onEvent } from "../api/events";
import { Icon, isIcon } from "../design/icon";
import { clauses, compact } from "../text/format";
import { Time } from "../text/time";
import { ARROWS, CENTRES, HEIGHT, SEATS, type Seat, WIDTH, WOVEN_BELT } from "./geometry";
import { pulseTo } from "./pulses";
import { stationOf } from "./words";

const LOOPS = {
  model: { title: "Model loop", about: "from data to a model worth trusting" },
  software: { title: "Software loop", about: "from a model to answers that hold" },
};

/** Letters of a headline that fit on two lines beside a station. */
const HEADLINE = 46;

const LOOP_NAMES = ["model", "software"] as const;

const STATE_WORDS = {
  empty: "not used yet",
  idle: "at rest",
  active: "active now",
  attention: "wants your attention",
};

export function LoopFigure(props: { stations: readonly Station[] }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(
    () =>
      onEvent((event) => {
        const station = stationOf(event);
        if (station !== null && place.current !== null) pulseTo(station, place.current);
      }),
    [],
  );
  const unused = props.stations.every((station) => station.state === "empty");
  const byId = new Map(props.stations.map((station) => [station.id, station]));
  return (
    <div class={`loop${unused ? " loop-unused" : ""}`} ref={place}>
      <Belt stations={byId} />
      {LOOP_NAMES.map((name) => (
        <section key={name} class={`ring ring-${name}`} aria-label={LOOPS[name].title}>
          <header class="ring-name">
            <h2>{LOOPS[name].title}</h2>
            <p>{LOOPS[name].about}</p>
          </header>
          <ol>
            {SEATS.filter((seat) => seat.loop === name).map((seat) => {
              const station = byId.get(seat.id);
              return station && <StationLink key={seat.id} station={station} seat={seat} />;
            })}
          </ol>
        </section>
      ))}
    </div>
  );
}

function Belt(props: { stations: ReadonlyMap<string, Station> }) {
  return (
    <svg class="belt" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
      <defs>
        <linearGradient id="belt-ink" gradientUnits="userSpaceOnUse" x1="0" x2={WIDTH} y1="0" y2="0">
          <stop class="ink-model" offset="0.4" />
          <stop class="ink-software" offset="0.6" />
        </linearGradient>
        {LOOP_NAMES.map((name) => (
          <radialGradient key={name} id={`glow-${name}`}>
            <stop class={`ink-${name}`} offset="0.2" stop-opacity="0.12" />
            <stop class={`ink-${name}`} offset="0.7" stop-opacity="0.07" />
            <stop class={`ink-${name}`} offset="1" stop-opacity="0" />
          </radialGradient>
        ))}
      </defs>
      {LOOP_NAMES.map((name) => (
        <circle key={name} class={`glow glow-${name}`} cx={CENTRES[name]} cy={HEIGHT / 2} r="300" />
      ))}
      <path class="belt-bed" d={WOVEN_BELT} />
      <path class="belt-line" d={WOVEN_BELT} />
      {ARROWS.map(({ loop, transform }) => (
        <path key={transform} class={`belt-arrow belt-arrow-${loop}`} d="M-3.5 -4.5 3 0 -3.5 4.5" transform={transform} />
      ))}
      <g class="pulses" />
      {SEATS.map((seat) => (
        <circle
          key={seat.id}
          class={`bead bead-${seat.loop} is-${props.stations.get(seat.id)?.state ?? "empty"}`}
          cx={seat.x}
          cy={seat.y}
          r="15"
        />
      ))}
    </svg>
  );
}

function StationLink(props: { station: Station; seat: Seat }) {
  const { station, seat } = props;
  const seated = { left: `${(seat.x / WIDTH) * 100}%`, top: `${(seat.y / HEIGHT) * 100}%` };
  const inner = (
    <>
      <span class="node">
        <i class="halo" />
        {isIcon(station.id) && <Icon name={station.id} size={24} />}
        {station.state === "attention" && <i class="node-badge">!</i>}
      </span>
      <span class="station-words">
        <span class="station-title">
          <strong>{station.title}</strong>
          {station.state !== "empty" && (
            <span class="number quiet">
              {compact(station.count)} {station.count === 1 ? station.unit.replace(/s$/, "") : station.unit}
            </span>
          )}
        </span>
        {station.state !== "empty" && !station.headline.endsWith(station.unit) && (
          <span class="station-headline" title={station.headline}>
            {clauses(station.headline, HEADLINE)}
          </span>
        )}
        {station.last && (
          <span class="station-last faint">
            <Time at={station.last.time} />
          </span>
        )}
        <span class="visually-hidden">{STATE_WORDS[station.state]}</span>
      </span>
    </>
  );
  return (
    <li
      class={`station is-${station.state} words-${seat.words}`}
      data-station={station.id}
      data-state={station.state}
      style={seated}
    >
      {station.href === null ? <div class="station-face">{inner}</div> : <a class="station-face" href={station.href}>{inner}</a>}
    </li>
  );
}
