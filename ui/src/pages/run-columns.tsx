/** Choose the columns of the table of runs. */
import { useSignal } from "@preact/signals";
import type { RunKeys } from "../api-types";
import { idOf, offered, type RunField } from "./run-fields";

const MOST_SHOWN = 200;

interface RunColumnsProps {
  keys: RunKeys;
  chosen: readonly RunField[];
  isOwn: boolean;
  /** Null goes back to the usual ones. */
  choose: (columns: RunField[] | null) => void;
}

export function RunColumns(props: RunColumnsProps) {
  const wanted = useSignal("");
  const chosen = new Set(props.chosen.map(idOf));
  const all = offered(props.keys);
  const found = all.filter((field) => idOf(field).toLowerCase().includes(wanted.value.toLowerCase()));
  const toggle = (field: RunField) =>
    props.choose(
      chosen.has(idOf(field)) ? props.chosen.filter((one) => idOf(one) !== idOf(field)) : [...props.chosen, field],
    );
  return (
    <details class="menu">
      <summary class="button">Columns</summary>
      <div class="menu-body">
        <input
          class="input"
          type="search"
          aria-label="Find a column"
          placeholder="Find a column"
          value={wanted.value}
          onInput={(change) => (wanted.value = change.currentTarget.value)}
        />
        <ul class="menu-list">
          {found.slice(0, MOST_SHOWN).map((field) => (
            <li key={idOf(field)}>
              <label class="check">
                <input type="checkbox" checked={chosen.has(idOf(field))} onChange={() => toggle(field)} />
                <span>{field.key}</span>
                <span class="faint">{field.part}</span>
              </label>
            </li>
          ))}
          {found.length === 0 && <li class="quiet">No run of late logged that.</li>}
          {found.length > MOST_SHOWN && <li class="quiet">and {found.length - MOST_SHOWN} more: type to find them</li>}
        </ul>
        {props.isOwn && (
          <button type="button" class="link" onClick={() => props.choose(null)}>
            Back to the usual columns
          </button>
        )}
      </div>
    </details>
  );
}
