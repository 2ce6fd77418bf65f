/** The glyphs of the interface: 24 × 24, drawn with a stroke in the colour of the text around them. */
const GLYPHS = {
  data: "M5 6c0-1.7 3.1-3 7-3s7 1.3 7 3-3.1 3-7 3-7-1.3-7-3Zm0 0v12c0 1.7 3.1 3 7 3s7-1.3 7-3V6M5 12c0 1.7 3.1 3 7 3s7-1.3 7-3",
  labels: "M3.5 11.2V5a1.5 1.5 0 0 1 1.5-1.5h6.2c.4 0 .8.2 1.1.4l8 8a1.5 1.5 0 0 1 0 2.2l-6.2 6.2a1.5 1.5 0 0 1-2.2 0l-8-8a1.5 1.5 0 0 1-.4-1.1ZM8 8h.01",
  features: "M4 4h16v16H4V4Zm0 5.3h16M9.3 4v16M14.7 4v16",
  pipeline: "M6 8.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Zm0 12a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Zm12-6a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5ZM8.5 6c4 0 3.5 6 7 6m-7 6c4 0 3.5-6 7-6",
  runs: "M9.5 3h5M10.5 3v6.2L5.2 18a2 2 0 0 0 1.7 3h10.2a2 2 0 0 0 1.7-3l-5.3-8.8V3M7.8 14.5h8.4",
  tuning: "M4 7h9m5 0h2M4 17h2m5 0h9M15.5 9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Zm-7 10a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Z",
  registry: "m12 3 8 4.3v9.4L12 21l-8-4.3V7.3L12 3Zm-8 4.3 8 4.4 8-4.4M12 11.7V21M8 5.2l8 4.3",
  gate: "M12 3c2.5 1.7 4.8 2.4 7.5 2.5.3 7-1.7 12-7.5 15.5C6.2 17.5 4.2 12.5 4.5 5.5 7.2 5.4 9.5 4.7 12 3Zm-3.2 8.7 2.3 2.3 4.2-4.3",
  deploy: "M12 15.5V4m-4 4 4-4 4 4M4 14.5v4A1.5 1.5 0 0 0 5.5 20h13a1.5 1.5 0 0 0 1.5-1.5v-4",
  serve: "M13 2.8 5.5 13.5H11l-.9 7.7L18.5 10H13V2.8Z",
  monitor: "M3 12.5h4l2.5-7.5 4.5 14 2.7-6.5H21",
  feedback: "M4 5.5A1.5 1.5 0 0 1 5.5 4h13A1.5 1.5 0 0 1 20 5.5v9a1.5 1.5 0 0 1-1.5 1.5H12l-4.5 4v-4h-2A1.5 1.5 0 0 1 4 14.5v-9ZM8.8 10.2l2.2 2.1 4.2-4.2",
  retrain: "M4 12a8 8 0 0 1 13.9-5.4L20 9m0-5v5h-5m5 3a8 8 0 0 1-13.9 5.4L4 15m0 5v-5h5",
  sun: "M12 16.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9ZM12 2v2m0 16v2M2 12h2m16 0h2M4.9 4.9l1.4 1.4m11.4 11.4 1.4 1.4m0-14.2-1.4 1.4M6.3 17.7l-1.4 1.4",
  moon: "M20.5 14.2A8.5 8.5 0 1 1 9.8 3.5a7 7 0 0 0 10.7 10.7Z",
  help: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM9.3 9.3a2.8 2.8 0 1 1 4.3 2.4c-1 .6-1.6 1.1-1.6 2.1m0 3.2h.01",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14Zm9 2-4-4",
  copy: "M9 9h11v11H9V9ZM15 9V4H4v11h5",
  check: "m4.5 12.5 5 5L19.5 7",
  alert: "M12 8.5v4.5m0 3.5h.01M10.6 4.2 2.9 17.5A1.6 1.6 0 0 0 4.3 20h15.4a1.6 1.6 0 0 0 .8-2.5L13.4 4.2a1.6 1.6 0 0 0-2.8 0Z",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  fit: "M4 9V4h5m6 0h5v5m0 6v5h-5m-6 0H4v-5",
  file: "M13.5 3H6.5A1.5 1.5 0 0 0 5 4.5v15A1.5 1.5 0 0 0 6.5 21h11a1.5 1.5 0 0 0 1.5-1.5v-11L13.5 3Zm0 0v5.5H19",
  chevron: "m9 5.5 6.5 6.5L9 18.5",
  arrow: "M5 12h14m-6-6 6 6-6 6",
  graph: "M5 14.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Zm14-6a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Zm0 12a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5ZM7.3 11l9.4-4M7.3 13l9.4 4",
} as const;

export type IconName = keyof typeof GLYPHS;

export function isIcon(name: string): name is IconName {
  return name in GLYPHS;
}

export function Icon(props: { name: IconName; size?: number }) {
  const size = props.size ?? 18;
  return (
    <svg class="icon" viewBox="0 0 24 24" width={size} height={size} aria-hidden="true">
      <path d={GLYPHS[props.name]} />
    </svg>
  );
}
