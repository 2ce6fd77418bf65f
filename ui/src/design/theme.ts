/** Light or dark: as the system says, until the reader chooses; the choice is remembered in this browser. */
import { effect, signal } from "@preact/signals";

type Theme = "light" | "dark";

const STORED = "interlock.theme";
const system = matchMedia("(prefers-color-scheme: dark)");

const chosen = signal<Theme | null>(stored());
const systemDark = signal(system.matches);

export function currentTheme(): Theme {
  return chosen.value ?? (systemDark.value ? "dark" : "light");
}

export function toggleTheme(): void {
  chosen.value = currentTheme() === "dark" ? "light" : "dark";
}

export function applyTheme(): void {
  system.addEventListener("change", (change) => {
    systemDark.value = change.matches;
  });
  effect(() => {
    if (chosen.value === null) return;
    document.documentElement.dataset["theme"] = chosen.value;
    try {
      localStorage.setItem(STORED, chosen.value);
    } catch {
      // A browser that forbids storage still gets the theme for this visit.
    }
  });
}

function stored(): Theme | null {
  try {
    const value = localStorage.getItem(STORED);
    return value === "light" || value === "dark" ? value : null;
  } catch {
    return null;
  }
}
