/** The shell around every page: navigation, the Ref box, the state of the connection, help. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { connection } from "./api/events";
import { Icon } from "./design/icon";
import { currentTheme, toggleTheme } from "./design/theme";
import { knownRefs } from "./loop/live";
import { PLACES, REF_BOX, helpOpen } from "./nav/keys";
import { hrefOf } from "./nav/refs";
import { navigate, path } from "./nav/router";
import { pageAt } from "./routes";

export function App() {
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <TopBar />
      <main id="main" tabIndex={-1}>
        {pageAt(path.value)}
      </main>
      <Help />
    </>
  );
}

function TopBar() {
  const here = path.value;
  useEffect(() => {
    // On a phone the list of pages is longer than the screen is wide.
    document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [here]);
  return (
    <header class="top">
      <a class="brand" href="/" aria-label="Interlock, home">
        <Mark />
        <span>Interlock</span>
      </a>
      <nav aria-label="Pages">
        {PLACES.map(({ href, title, key }) => (
          <a key={href} href={href} aria-current={isHere(href) ? "page" : undefined} title={`g ${key}`}>
            {title}
          </a>
        ))}
      </nav>
      <div class="top-tools">
        <RefBox />
        <ConnectionState />
        <button type="button" class="icon-button" onClick={toggleTheme} aria-label={`Use the ${other()} theme`} title="Theme (t)">
          <Icon name={other() === "dark" ? "moon" : "sun"} />
        </button>
        <button
          type="button"
          class="icon-button top-help"
          onClick={() => {
            helpOpen.value = true;
          }}
          aria-label="Keyboard help"
          title="Help (?)"
        >
          <Icon name="help" />
        </button>
      </div>
    </header>
  );
}

function other(): "light" | "dark" {
  return currentTheme() === "dark" ? "light" : "dark";
}

/** Pages that belong to one of those in the list. */
const WITHIN: Record<string, string> = { "/experiments": "/runs", "/compare": "/runs", "/trace": "/lineage" };

function isHere(href: string): boolean {
  const here = WITHIN[path.value] ?? path.value;
  return href === "/" ? here === "/" : here.startsWith(href);
}

function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" width="30" height="30" aria-hidden="true">
      <path class="mark-model" d="M16 16C13 11.5 11 9 8 9a7 7 0 0 0 0 14c3 0 5-2.5 8-7" />
      <path class="mark-software" d="M16 16c3-4.5 5-7 8-7a7 7 0 0 1 0 14c-3 0-5-2.5-8-7" />
    </svg>
  );
}

function RefBox() {
  const go = (submit: Event) => {
    submit.preventDefault();
    const box = (submit.currentTarget as HTMLFormElement).elements.namedItem("ref") as HTMLInputElement;
    if (box.value.trim() === "") return;
    navigate(hrefOf(box.value));
    box.value = "";
  };
  return (
    <form class="ref-form" role="search" onSubmit={go}>
      <Icon name="search" size={16} />
      <input
        id={REF_BOX}
        name="ref"
        list="known-refs"
        placeholder="model:name@1"
        aria-label="Go to a Ref"
        autocomplete="off"
        spellcheck={false}
        onKeyDown={(press) => press.key === "Escape" && press.currentTarget.blur()}
      />
      <kbd>/</kbd>
      <datalist id="known-refs">
        {knownRefs.value.map((ref) => (
          <option key={ref} value={ref} />
        ))}
      </datalist>
    </form>
  );
}

function ConnectionState() {
  const words = { connecting: "Connecting", live: "Live", lost: "Reconnecting" }[connection.value];
  return (
    <span class={`connection connection-${connection.value}`} role="status" title="Follows the event log">
      <i class="dot" />
      <span>{words}</span>
    </span>
  );
}

function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = helpOpen.value;
  useEffect(() => {
    if (open) dialog.current?.showModal();
  }, [open]);
  const line = (keys: readonly string[], what: ComponentChildren) => (
    <div>
      <dt>
        {keys.map((key) => (
          <kbd key={key}>{key}</kbd>
        ))}
      </dt>
      <dd>{what}</dd>
    </div>
  );
  return (
    <dialog
      ref={dialog}
      class="help"
      aria-label="Keyboard"
      onClose={() => {
        helpOpen.value = false;
      }}
      onClick={(click) => click.target === click.currentTarget && click.currentTarget.close()}
    >
      <h2>Keyboard</h2>
      <dl>
        {PLACES.map(({ key, title }) => line(["g", key], title))}
        {line(["/"], "Go to a Ref")}
        {line(["t"], "Light or dark")}
        {line(["?"], "This list")}
        {line(["Esc"], "Close")}
      </dl>
      <button type="button" class="button" onClick={() => dialog.current?.close()}>
        Close
      </button>
    </dialog>
  );
}
