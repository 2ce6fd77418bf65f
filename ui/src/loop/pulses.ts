/** The movement of the loop: when something happens, a light runs along the belt to its station, which then glows. */
import { BELT, LENGTH, seatBefore, seatOf } from "./geometry";

const TRAVEL_MS = 1_300;
const GLOW_MS = 1_600;
const TAILS = [
  { length: 110, name: "pulse-tail" },
  { length: 44, name: "pulse-body" },
  { length: 6, name: "pulse-head" },
];

const travelling = new Set<string>();

/** Send a light to a station; while one is on its way there, another is not sent. */
export function pulseTo(station: string, figure: HTMLElement): void {
  const seat = seatOf(station);
  const track = figure.querySelector(".pulses");
  if (seat === undefined || track === null || travelling.has(station)) return;
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  travelling.add(station);

  const from = seatBefore(seat).distance;
  const to = from + ((seat.distance - from + LENGTH) % LENGTH);
  const light = document.createElementNS("http://www.w3.org/2000/svg", "g");
  light.setAttribute("class", `pulse pulse-${seat.loop}`);
  track.append(light);

  const runs = TAILS.map(({ length, name }) => {
    const dash = document.createElementNS("http://www.w3.org/2000/svg", "path");
    dash.setAttribute("d", BELT);
    dash.setAttribute("class", name);
    dash.setAttribute("stroke-dasharray", `${length} ${LENGTH - length}`);
    light.append(dash);
    const offsets = [from, to].map((head) => ({ strokeDashoffset: `${length - head}px` }));
    return dash.animate(offsets, { duration: TRAVEL_MS, easing: "cubic-bezier(.45, 0, .25, 1)", fill: "both" }).finished;
  });
  light.animate([{ opacity: 0 }, { opacity: 1, offset: 0.15 }, { opacity: 1, offset: 0.85 }, { opacity: 0 }], {
    duration: TRAVEL_MS,
    fill: "both",
  });
  void Promise.all(runs).then(() => {
    light.remove();
    travelling.delete(station);
    glow(figure, station);
  });
}

function glow(figure: HTMLElement, station: string): void {
  const halo = figure.querySelector(`[data-station="${station}"] .halo`);
  halo?.animate(
    [
      { opacity: 0.9, transform: "scale(0.8)" },
      { opacity: 0, transform: "scale(1.9)" },
    ],
    { duration: GLOW_MS, easing: "cubic-bezier(.1, .6, .2, 1)" },
  );
}
