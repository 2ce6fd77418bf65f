/** Figures and values as people read them. */

const GROUPED = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

const COMPACT = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 3 });

/** A figure with four significant digits, whole numbers grouped; null is how JSON carries NaN. */
export function figure(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return "NaN";
  if (Number.isInteger(value)) return GROUPED.format(value);
  const size = Math.abs(value);
  if (size >= 1_000) return GROUPED.format(value);
  if (size >= 0.001) return String(Number(value.toPrecision(4)));
  return value.toExponential(2);
}

/** A count in the room of a few letters: 9,430 and 262k. */
export function compact(count: number): string {
  return count < 10_000 ? GROUPED.format(count) : COMPACT.format(count).toLowerCase().replace("m", "M");
}

/** A figure with a fixed number of decimals, so that a column of them lines up. */
export function fixed(value: number | null, decimals = 3): string {
  return value === null ? "–" : value.toFixed(decimals).replace("-", "−");
}

export function percent(share: number): string {
  return `${Number((share * 100).toFixed(share > 0 && share < 0.01 ? 2 : 1))} %`;
}

export function plural(count: number, unit: string): string {
  return `${GROUPED.format(count)} ${unit}${count === 1 ? "" : "s"}`;
}

export function bytes(size: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let left = size;
  let unit = 0;
  while (left >= 1000 && unit < units.length - 1) {
    left /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? left : left.toFixed(left < 10 ? 1 : 0)} ${units[unit]}`;
}

export function duration(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  return `${Number((seconds / 86_400).toFixed(1))} days`;
}

/** How long ago, in one unit. */
export function ago(time: string, now: number): string {
  const seconds = (now - Date.parse(time)) / 1000;
  if (seconds < -5) return `in ${oneUnit(-seconds)}`;
  return seconds < 5 ? "just now" : `${oneUnit(seconds)} ago`;
}

function oneUnit(seconds: number): string {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  if (seconds < 86_400 * 60) return `${Math.floor(seconds / 86_400)} d`;
  return `${Math.floor(seconds / (86_400 * 30.44))} mo`;
}

/** Date and time to the second, in the reader's zone. */
export function absolute(time: string): string {
  return new Date(time).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
}

/** A day, in UTC: windows and event times are days of the data, not of the reader. */
export function day(time: string): string {
  return new Date(time).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
}

/** A moment of the data to the minute, in UTC. */
export function moment(time: string): string {
  const clock = new Date(time).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
  return `${day(time)}, ${clock} UTC`;
}

/** A day or a moment of it, short enough for an axis, in UTC. */
export function shortDate(seconds: number, withTime: boolean): string {
  const parts: Intl.DateTimeFormatOptions = withTime
    ? { hour: "2-digit", minute: "2-digit", timeZone: "UTC" }
    : { day: "numeric", month: "short", timeZone: "UTC" };
  return new Date(seconds * 1000).toLocaleString("en-GB", parts);
}

/** Any plain value in one line. */
export function inline(value: unknown): string {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value === "number") return figure(value);
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map(inline).join(", ") || "none";
  return JSON.stringify(value);
}

/** As many clauses of a sentence as fit, at least the first: a figure is never cut in two. */
export function clauses(text: string, longest: number): string {
  const parts = text.split(/(?<=,) /);
  let kept = parts[0] ?? "";
  for (const part of parts.slice(1)) {
    if (kept.length + part.length >= longest) return kept.replace(/,$/, "");
    kept += ` ${part}`;
  }
  return kept;
}
