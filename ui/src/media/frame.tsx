/** Logged HTML in a frame that has no origin, reads nothing of ours and may load nothing; its scripts run only if asked. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";

const HEIGHT = { least: 80, first: 240, most: 720 };

export function Frame(props: { html: string; label: string; moving?: boolean }) {
  const frame = useRef<HTMLIFrameElement>(null);
  const [height, setHeight] = useState(HEIGHT.first);
  // not a moment later: the frame may be there, and say so, before the page is painted
  useLayoutEffect(() => {
    const hear = (message: MessageEvent) => {
      const inside = frame.current?.contentWindow;
      if (!inside || message.source !== inside || typeof message.data !== "object" || message.data === null) return;
      const { ready, height: wanted } = message.data as { ready?: unknown; height?: unknown };
      // the frame has no origin that could be named; it gets nothing but what was logged
      if (ready === true) inside.postMessage(props.html, "*");
      else if (typeof wanted === "number") setHeight(Math.min(HEIGHT.most, Math.max(HEIGHT.least, Math.ceil(wanted))));
    };
    addEventListener("message", hear);
    return () => removeEventListener("message", hear);
  }, [props.html]);
  return (
    <iframe
      key={props.html}
      ref={frame}
      class="media-frame"
      title={props.label}
      sandbox="allow-scripts"
      referrerPolicy="no-referrer"
      src={`/frames/${props.moving ? "moving" : "still"}`}
      style={{ height: `${height}px` }}
    />
  );
}
