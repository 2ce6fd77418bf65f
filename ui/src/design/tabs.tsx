/** Tabs: one panel at a time, chosen by click or by the arrow keys, remembered in the address. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { query, setQuery } from "../nav/router";

export interface Tab {
  id: string;
  title: string;
  count?: number;
  show: () => ComponentChildren;
}

export function Tabs(props: { tabs: readonly Tab[] }) {
  const wanted = query.value.get("tab");
  const current = props.tabs.find((tab) => tab.id === wanted) ?? props.tabs[0];
  const bar = useRef<HTMLDivElement>(null);
  const currentId = current?.id;
  useEffect(() => {
    // On a phone there are more tabs than the screen is wide.
    const [row, tab] = [bar.current, bar.current?.querySelector<HTMLElement>("[aria-selected=true]")];
    if (row && tab) row.scrollLeft = tab.offsetLeft - row.offsetLeft - (row.clientWidth - tab.clientWidth) / 2;
  }, [currentId]);
  if (current === undefined) return null;
  const choose = (tab: Tab) => setQuery({ tab: tab === props.tabs[0] ? "" : tab.id });
  const byArrow = (press: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[press.key];
    if (step === undefined) return;
    const next = props.tabs.at((props.tabs.indexOf(current) + step) % props.tabs.length);
    if (next === undefined) return;
    choose(next);
    document.getElementById(`tab-${next.id}`)?.focus();
  };
  return (
    <>
      <div ref={bar} class="tabs" role="tablist" onKeyDown={byArrow}>
        {props.tabs.map((tab) => (
          <button
            key={tab.id}
            id={`tab-${tab.id}`}
            type="button"
            role="tab"
            aria-selected={tab === current}
            aria-controls="tab-panel"
            tabIndex={tab === current ? 0 : -1}
            onClick={() => choose(tab)}
          >
            {tab.title}
            {tab.count !== undefined && <span class="tab-count">{tab.count}</span>}
          </button>
        ))}
      </div>
      <div id="tab-panel" role="tabpanel" aria-labelledby={`tab-${current.id}`}>
        {current.show()}
      </div>
    </>
  );
}
