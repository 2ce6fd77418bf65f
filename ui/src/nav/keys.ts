/** Keyboard: `g` then a letter goes to a page, `/` to the Ref box, `t` changes the theme, `?` shows the list. */
import { signal } from "@preact/signals";
import { toggleTheme } from "../design/theme";
import { navigate } from "./router";

export interface Place {
  key: string;
  title: string;
  href: string;
}

export const PLACES: readonly Place[] = [
  { key: "h", title: "Loop", href: "/" },
  { key: "d", title: "Data", href: "/datasets" },
  { key: "p", title: "Pipelines", href: "/pipelines" },
  { key: "r", title: "Runs", href: "/runs" },
  { key: "m", title: "Models", href: "/models" },
  { key: "e", title: "Endpoints", href: "/endpoints" },
  { key: "o", title: "Monitors", href: "/monitors" },
  { key: "l", title: "Lineage", href: "/lineage" },
];

export const REF_BOX = "ref-box";
export const helpOpen = signal(false);

const CHORD_MS = 1_200;

export function listenForKeys(): void {
  let chordUntil = 0;
  addEventListener("keydown", (press) => {
    if (press.metaKey || press.ctrlKey || press.altKey || isTyping(press.target)) return;
    if (performance.now() < chordUntil) {
      chordUntil = 0;
      const place = PLACES.find((one) => one.key === press.key);
      if (place) {
        press.preventDefault();
        navigate(place.href);
      }
      return;
    }
    if (press.key === "g") chordUntil = performance.now() + CHORD_MS;
    else if (press.key === "t") toggleTheme();
    else if (press.key === "?") helpOpen.value = true;
    else if (press.key === "/") {
      press.preventDefault();
      document.getElementById(REF_BOX)?.focus();
    }
  });
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input, select, textarea, [contenteditable]");
}
