/** A line in the search grammar, completed while it is typed from what the runs really logged. */
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { RunKeys } from "../api-types";
import { Icon } from "../design/icon";
import { grammarOf, type Part } from "./run-fields";

const MOST = 8;
const WORDS = ["AND", "OR", "NOT", "LIKE", "ILIKE", "IN", "IS NULL", "IS NOT NULL"];
/** What is being typed at the caret: a name with its dots, or one that is quoted. */
const AT_CARET = /[\w./-]*`?[\w ./-]*$/;

export function RunSearch(props: { text: string; keys: RunKeys | null; search: (text: string) => void }) {
  const box = useRef<HTMLInputElement>(null);
  const typed = useSignal(props.text);
  const given = useSignal(props.text);
  const chosen = useSignal(-1);
  const open = useSignal(false);
  if (given.value !== props.text) given.value = typed.value = props.text;
  const offers = open.value ? completions(typed.value, box.current?.selectionStart ?? typed.value.length, props.keys) : [];

  const take = (offer: string) => {
    const caret = box.current?.selectionStart ?? typed.value.length;
    const start = caret - (AT_CARET.exec(typed.value.slice(0, caret))?.[0].length ?? 0);
    typed.value = `${typed.value.slice(0, start)}${offer} ${typed.value.slice(caret).trimStart()}`;
    chosen.value = -1;
    const place = start + offer.length + 1;
    requestAnimationFrame(() => box.current?.setSelectionRange(place, place));
    box.current?.focus();
  };
  const search = () => {
    open.value = false;
    props.search(typed.value.trim());
  };
  const press = (key: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[key.key];
    const offer = offers[chosen.value];
    if (step !== undefined && offers.length > 0) {
      chosen.value = (chosen.value + step + offers.length + (chosen.value < 0 && step < 0 ? 1 : 0)) % offers.length;
      key.preventDefault();
    } else if ((key.key === "Enter" || key.key === "Tab") && offer !== undefined) {
      take(offer);
      key.preventDefault();
    } else if (key.key === "Enter") search();
    else if (key.key === "Escape") open.value = false;
  };

  return (
    <div class="run-search" role="search">
      <Icon name="search" size={16} />
      <input
        ref={box}
        class="input mono"
        type="text"
        role="combobox"
        aria-label="Search runs"
        aria-expanded={offers.length > 0}
        aria-controls="run-search-offers"
        aria-activedescendant={chosen.value >= 0 ? `run-offer-${chosen.value}` : undefined}
        autocomplete="off"
        spellcheck={false}
        placeholder="metrics.auc > 0.7 AND params.depth = '3'"
        value={typed.value}
        onInput={(change) => {
          typed.value = change.currentTarget.value;
          chosen.value = -1;
          open.value = true;
        }}
        onFocus={() => (open.value = true)}
        onBlur={() => setTimeout(() => (open.value = false), 150)}
        onKeyDown={press}
      />
      {offers.length > 0 && (
        <ul id="run-search-offers" class="run-offers" role="listbox" aria-label="Completions">
          {offers.map((offer, place) => (
            <li key={offer} id={`run-offer-${place}`} role="option" aria-selected={place === chosen.value}>
              <button type="button" tabIndex={-1} onMouseDown={(press) => press.preventDefault()} onClick={() => take(offer)}>
                {offer}
              </button>
            </li>
          ))}
        </ul>
      )}
      <button type="button" class="button" onClick={search}>
        Search
      </button>
    </div>
  );
}

/** What may stand at the caret: fields that hold the letters typed, words of the grammar after a complete comparison. */
export function completions(text: string, caret: number, keys: RunKeys | null): string[] {
  const before = text.slice(0, caret);
  const quotes = before.replace(/''/g, "").split("'").length - 1;
  if (keys === null || quotes % 2 === 1) return [];
  const typed = (AT_CARET.exec(before)?.[0] ?? "").trimStart().replace(/`/g, "").toLowerCase();
  const complete = /('|\d|\)|NULL)\s+\w*$/i.test(before);
  const fields = ([
    ["attribute", keys.attributes],
    ["metric", keys.metrics],
    ["param", keys.params],
    ["tag", keys.tags],
  ] as [Part, string[]][]).flatMap(([part, names]) => names.map((key) => grammarOf({ part, key })));
  const words = complete ? WORDS.slice(0, 2) : fields;
  if (typed === "") return complete ? words : before.trim() === "" ? fields.slice(0, MOST) : [];
  const starts = words.filter((word) => word.toLowerCase().startsWith(typed));
  const holds = words.filter((word) => !starts.includes(word) && word.toLowerCase().includes(typed));
  return [...starts, ...holds].filter((word) => word.toLowerCase() !== typed).slice(0, MOST);
}
