/**
 * Logged bytes as something an element can show. What they are follows from the bytes alone, and only pictures, sound
 * and film get an address of their own: nothing that could run as a page ever does.
 */
import { useEffect, useState } from "preact/hooks";
import type { ArtifactEntry, Problem } from "../api-types";
import { apiUrl, pathOf } from "../api/client";
import { credentials } from "../api/token";
import { bytes } from "../text/format";

export type Form = "picture" | "sound" | "film";

export interface Shown {
  form: Form;
  url: string;
}

export interface Contents<T> {
  data: T | null;
  problem: Problem | null;
}

const LARGEST = 256 << 20;
const LARGEST_SVG = 8 << 20;

export async function contentsOf(file: ArtifactEntry, abort?: AbortSignal): Promise<ArrayBuffer> {
  if (file.size_bytes > LARGEST)
    throw new Error(`${bytes(file.size_bytes)} are too much to show here: download the file`);
  const answer = await fetch(apiUrl(`/artifacts/${pathOf(file.digest)}`), { headers: credentials(), ...(abort && { signal: abort }) });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return answer.arrayBuffer();
}

/** Read a file whole once it is wanted, and make something of it; what `end` gets is no longer needed. */
export function useContents<T>(
  file: ArtifactEntry | null,
  make: (data: ArrayBuffer) => T,
  end?: (made: T) => void,
): Contents<T> {
  const [found, setFound] = useState<Contents<T>>({ data: null, problem: null });
  const digest = file?.digest;
  useEffect(() => {
    if (file === null) return;
    const abort = new AbortController();
    let made: T | null = null;
    contentsOf(file, abort.signal).then(
      (data) => {
        if (abort.signal.aborted) return;
        try {
          made = make(data);
          setFound({ data: made, problem: null });
        } catch (failure) {
          setFound({ data: null, problem: problemOf(file, failure) });
        }
      },
      (failure: unknown) => {
        if (!abort.signal.aborted) setFound({ data: null, problem: problemOf(file, failure) });
      },
    );
    return () => {
      abort.abort();
      if (made !== null) end?.(made);
    };
  }, [digest]);
  return found;
}

export function useShown(file: ArtifactEntry | null): Contents<Shown> {
  return useContents(file, shownOf, (made) => made.url.startsWith("blob:") && URL.revokeObjectURL(made.url));
}

export function textOf(data: ArrayBuffer): string {
  return new TextDecoder().decode(data);
}

function problemOf(file: ArtifactEntry, failure: unknown): Problem {
  const name = file.path.slice(file.path.lastIndexOf("/") + 1);
  return { code: "", what: `${name} cannot be shown`, why: failure instanceof Error ? failure.message : "", fix: "" };
}

function shownOf(data: ArrayBuffer): Shown {
  const start = new Uint8Array(data, 0, Math.min(64, data.byteLength));
  const known = typeOf(start);
  if (known !== null) return { form: known[0], url: URL.createObjectURL(new Blob([data], { type: known[1] })) };
  // An SVG may hold scripts: in an <img> they stay dead, and a data: address has no origin should anybody open it.
  const text = data.byteLength <= LARGEST_SVG ? textOf(data) : "";
  if (/^\s*(<\?xml[^>]*>\s*)?(<!--[\s\S]*?-->\s*|<!DOCTYPE svg[^>]*>\s*)*<svg[\s>]/i.test(text))
    return { form: "picture", url: `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}` };
  throw new Error("it is no picture, sound or film that browsers know");
}

function typeOf(start: Uint8Array): [Form, string] | null {
  const at = (place: number, text: string) => [...text].every((one, step) => start[place + step] === one.charCodeAt(0));
  if (at(0, "\x89PNG")) return ["picture", "image/png"];
  if (at(0, "\xff\xd8\xff")) return ["picture", "image/jpeg"];
  if (at(0, "GIF8")) return ["picture", "image/gif"];
  if (at(0, "BM")) return ["picture", "image/bmp"];
  if (at(0, "RIFF") && at(8, "WEBP")) return ["picture", "image/webp"];
  if (at(0, "RIFF") && at(8, "WAVE")) return ["sound", "audio/wav"];
  if (at(4, "ftypavi")) return ["picture", "image/avif"];
  if (at(4, "ftypM4A")) return ["sound", "audio/mp4"];
  if (at(4, "ftyp")) return ["film", "video/mp4"];
  if (at(0, "\x1aE\xdf\xa3")) return ["film", "video/webm"];
  if (at(0, "ID3") || (start[0] === 0xff && ((start[1] ?? 0) & 0xe0) === 0xe0)) return ["sound", "audio/mpeg"];
  if (at(0, "OggS")) return ["sound", "audio/ogg"];
  if (at(0, "fLaC")) return ["sound", "audio/flac"];
  return null;
}
