/** The frame of a page: its title, what it is about in one line, and its sections. */
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";

interface PageProps {
  title: string;
  /** What kind of thing this is, above the title; a link back to the list of them. */
  above?: ComponentChildren;
  about?: ComponentChildren;
  aside?: ComponentChildren;
  children: ComponentChildren;
}

export function Page(props: PageProps) {
  useEffect(() => {
    document.title = `${props.title} · Interlock`;
  }, [props.title]);
  return (
    <div class="page">
      <header class="page-head">
        <div>
          {props.above && <p class="page-above">{props.above}</p>}
          <h1>{props.title}</h1>
          {props.about && <div class="page-about">{props.about}</div>}
        </div>
        {props.aside && <div class="page-aside">{props.aside}</div>}
      </header>
      {props.children}
    </div>
  );
}

export function Card(props: { title?: string; aside?: ComponentChildren; flush?: boolean; children: ComponentChildren }) {
  return (
    <section class={`card${props.flush ? " card-flush" : ""}`}>
      {props.title && (
        <header class="card-head">
          <h2>{props.title}</h2>
          {props.aside && <div class="card-aside">{props.aside}</div>}
        </header>
      )}
      <div class="card-body">{props.children}</div>
    </section>
  );
}

/** What a list says before there is anything in it: why it is empty, and the line that fills it. */
export function Empty(props: { title: string; children: ComponentChildren }) {
  return (
    <div class="empty">
      <h2>{props.title}</h2>
      <div class="quiet">{props.children}</div>
    </div>
  );
}

/** Facts, one per line: a name and a value. */
export function Facts(props: { of: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {props.of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
