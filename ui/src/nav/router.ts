/** Where the page is: one signal, moved by links without a reload. */
import { computed, signal } from "@preact/signals";

const here = signal(new URL(location.href));

export const path = computed(() => here.value.pathname);
export const query = computed(() => here.value.searchParams);

export function navigate(href: string, how: "push" | "replace" = "push"): void {
  const target = new URL(href, location.href);
  if (target.href === location.href) return;
  history[how === "push" ? "pushState" : "replaceState"](null, "", target);
  const moved = target.pathname !== here.value.pathname;
  here.value = target;
  if (how === "push" && moved) {
    scrollTo(0, 0);
    document.getElementById("main")?.focus({ preventScroll: true });
  }
}

/** Change query parameters in place; an empty value removes one. */
export function setQuery(changes: Record<string, string>): void {
  const target = new URL(location.href);
  for (const [key, value] of Object.entries(changes)) {
    if (value === "") target.searchParams.delete(key);
    else target.searchParams.set(key, value);
  }
  navigate(target.href, "replace");
}

/** Follow links inside the app without a reload; leave the API, other hosts and modified clicks to the browser. */
export function interceptLinks(): void {
  addEventListener("popstate", () => {
    here.value = new URL(location.href);
  });
  document.addEventListener("click", (click) => {
    if (click.defaultPrevented || click.button !== 0 || click.metaKey || click.ctrlKey || click.shiftKey || click.altKey)
      return;
    const link = (click.target as Element).closest("a");
    const href = link?.getAttribute("href");
    if (!link || !href || !/^[/?]/.test(href) || link.target || link.hasAttribute("download") || href.startsWith("/api/"))
      return;
    click.preventDefault();
    navigate(href);
  });
}
