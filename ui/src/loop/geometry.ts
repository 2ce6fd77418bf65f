/**
 * The figure of the home page: one belt crossed between two rings, and where each station sits on it.
 *
 * The belt leaves the crossing up and to the left, turns around the model ring against the clock, passes the crossing
 * from lower left to upper right, turns around the software ring with the clock, and comes back from the lower right.
 * Circles and tangents only, so every place is exact: the belt's length, a station's distance along it, a point's x and y.
 */

export type Loop = "model" | "software";

export interface Seat {
  id: string;
  loop: Loop;
  /** In the units of the view box. */
  x: number;
  y: number;
  /** Along the belt from the crossing, in the same units. */
  distance: number;
  /** Where its words stand, so that they cover neither the belt nor each other. */
  words: "above" | "below" | "beside" | "beside-low" | "beside-high";
}

export const WIDTH = 1000;
export const HEIGHT = 664;
const RADIUS = 204;
/** From the crossing to the centre of a ring. */
const REACH = 236;
const CENTRE = { x: WIDTH / 2, y: HEIGHT / 2 };
/** The x of each ring's centre. */
export const CENTRES = { model: CENTRE.x - REACH, software: CENTRE.x + REACH };

/** Half the angle, at a ring's centre, of the part that the belt does not touch. */
const OPEN = Math.acos(RADIUS / REACH);
const STRAND = Math.sqrt(REACH * REACH - RADIUS * RADIUS);
const TURN = RADIUS * (2 * Math.PI - 2 * OPEN);

export const LENGTH = 4 * STRAND + 2 * TURN;

const MODEL = ["data", "labels", "features", "pipeline", "runs", "tuning", "registry"];
const SOFTWARE = ["gate", "deploy", "serve", "monitor", "feedback", "retrain"];
/** Degrees from a ring's outermost point to its first station; the others follow evenly to the mirror image of it. */
const FIRST = { model: 127, software: 127 };

/** Every station's seat, in the order of the belt. */
export const SEATS: readonly Seat[] = [...seats("model", MODEL), ...seats("software", SOFTWARE)];

const BY_ID = new Map(SEATS.map((seat) => [seat.id, seat]));

export function seatOf(station: string): Seat | undefined {
  return BY_ID.get(station);
}

/** The seat before a station's on the belt: where a pulse to it starts. */
export function seatBefore(seat: Seat): Seat {
  return SEATS.at(SEATS.indexOf(seat) - 1)!;
}

/** Half the gap in the strand that passes under the other, where they cross. */
const UNDERPASS = 21;

/** The belt as SVG paths: closed, for what moves along it; and open where it passes under itself, to be seen. */
export const BELT = `${beltPath(0)} Z`;
export const WOVEN_BELT = beltPath(UNDERPASS);

/** Small arrows between the stations, pointing along the belt. */
export const ARROWS: readonly { loop: Loop; transform: string }[] = SEATS.map((seat, at) => {
  const next = SEATS[(at + 1) % SEATS.length]!;
  const gap = (next.distance - seat.distance + LENGTH) % LENGTH;
  const sameRing = next.loop === seat.loop;
  // Between the rings the middle is the crossing: point there shortly before the next station instead.
  return { loop: next.loop, transform: arrowAt(seat.distance + gap * (sameRing ? 0.5 : 0.78)) };
});

function seats(loop: Loop, ids: readonly string[]): Seat[] {
  const first = FIRST[loop];
  return ids.map((id, at) => {
    const up = radians(first - (2 * first * at) / (ids.length - 1));
    const before = loop === "model" ? STRAND : STRAND + TURN + 2 * STRAND;
    const distance = before + RADIUS * (Math.PI - OPEN - up);
    return { id, loop, ...pointOnRing(loop, up), distance, words: wordsAt(Math.sin(up)) };
  });
}

/** Near the top and the bottom of a ring words stand outside it; at its sides within, clear of the bend. */
function wordsAt(height: number): Seat["words"] {
  if (Math.abs(height) > 0.72) return height > 0 ? "above" : "below";
  if (Math.abs(height) < 0.5) return "beside";
  return height > 0 ? "beside-low" : "beside-high";
}

/** A point of a ring by its angle above (or, negative, below) the ring's outermost point. */
function pointOnRing(loop: Loop, up: number): { x: number; y: number } {
  const side = loop === "model" ? -1 : 1;
  return { x: CENTRES[loop] + side * RADIUS * Math.cos(up), y: CENTRE.y - RADIUS * Math.sin(up) };
}

/** The point and direction at a distance along the belt. */
export function along(distance: number): { x: number; y: number; degrees: number } {
  const whole = ((distance % LENGTH) + LENGTH) % LENGTH;
  const half = LENGTH / 2;
  const loop: Loop = whole < half ? "model" : "software";
  const side = loop === "model" ? -1 : 1;
  const rest = whole % half;
  // Both halves leave the crossing upwards and come back from below.
  const slope = Math.PI / 2 - OPEN;
  if (rest < STRAND || rest > STRAND + TURN) {
    const leaving = rest < STRAND;
    const out = leaving ? rest : half - rest;
    const down = leaving ? -1 : 1;
    const point = { x: CENTRE.x + side * out * Math.cos(slope), y: CENTRE.y + down * out * Math.sin(slope) };
    const dx = side * (leaving ? 1 : -1) * Math.cos(slope);
    return { ...point, degrees: degrees(Math.atan2(-Math.sin(slope), dx)) };
  }
  const up = Math.PI - OPEN - (rest - STRAND) / RADIUS;
  return { ...pointOnRing(loop, up), degrees: degrees(Math.atan2(Math.cos(up), side * Math.sin(up))) };
}

function arrowAt(distance: number): string {
  const { x, y, degrees: turn } = along(distance);
  return `translate(${round(x)} ${round(y)}) rotate(${round(turn)})`;
}

/** The belt from `gap` behind the crossing, all the way round, to `gap` before it. */
function beltPath(gap: number): string {
  const place = (distance: number) => {
    const { x, y } = along(distance);
    return `${round(x)} ${round(y)}`;
  };
  const arc = (sweep: 0 | 1, to: number) => `A ${RADIUS} ${RADIUS} 0 1 ${sweep} ${place(to)}`;
  const half = LENGTH / 2;
  return [
    `M ${place(gap)}`,
    `L ${place(STRAND)}`,
    arc(0, STRAND + TURN),
    `L ${place(half + STRAND)}`,
    arc(1, half + STRAND + TURN),
    `L ${place(LENGTH - gap)}`,
  ].join(" ");
}

function radians(angle: number): number {
  return (angle * Math.PI) / 180;
}

function degrees(angle: number): number {
  return (angle * 180) / Math.PI;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
