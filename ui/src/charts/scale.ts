/** Place values on an axis: numbers by size, anything else in the order of its words. */

export interface Scale {
  /** From 0 to 1, or null where there is no value. */
  place: (value: unknown) => number | null;
  /** What to write along the axis. */
  ticks: { at: number; label: string }[];
}

const MOST_WORDS = 8;

export function scaleOf(values: readonly unknown[], write: (value: number) => string): Scale {
  const known = values.filter((value) => value !== null && value !== undefined);
  const numbers = known.map(Number);
  if (known.length > 0 && known.every((value) => typeof value !== "boolean" && !Array.isArray(value)) && numbers.every(Number.isFinite)) {
    const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
    const place = (value: unknown) =>
      value === null || value === undefined ? null : high === low ? 0.5 : (Number(value) - low) / (high - low);
    const ends = high === low ? [low] : [low, (low + high) / 2, high];
    return { place, ticks: ends.map((end) => ({ at: place(end) ?? 0.5, label: write(end) })) };
  }
  const words = [...new Set(known.map(String))].sort();
  const at = (word: string) => (words.length < 2 ? 0.5 : words.indexOf(word) / (words.length - 1));
  const shown = words.length > MOST_WORDS ? [words[0]!, words.at(-1)!] : words;
  return {
    place: (value) => (value === null || value === undefined ? null : at(String(value))),
    ticks: shown.map((word) => ({ at: at(word), label: word })),
  };
}
