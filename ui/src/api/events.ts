/** Follow the event log by server-sent events: resumes where it stopped, and says whether it is live. */
import { signal } from "@preact/signals";
import type { Event as LogEvent } from "../api-types";
import { apiUrl } from "./client";
import { messages } from "./sse";
import { credentials } from "./token";

export type Connection = "connecting" | "live" | "lost";
type Listener = (event: LogEvent) => void;

const RETRY_MS = [500, 1_000, 2_000, 5_000, 10_000];

export const connection = signal<Connection>("connecting");

const listeners = new Set<Listener>();
let lastSeq = -1;

/** Call the listener on every new event; returns what ends it. */
export function onEvent(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Follow the log after `seq` for as long as the page lives; only the first call counts. */
export async function follow(seq: number): Promise<void> {
  if (lastSeq >= 0) return;
  lastSeq = seq;
  for (let failures = 0; ; failures += 1) {
    if (await followOnce()) failures = 0;
    connection.value = "lost";
    await new Promise((done) => setTimeout(done, RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]));
  }
}

/** Read one connection to its end; return whether it was ever open. */
async function followOnce(): Promise<boolean> {
  let wasOpen = false;
  try {
    const answer = await fetch(apiUrl(`/events?after=${lastSeq}`), {
      headers: { accept: "text/event-stream", ...credentials() },
    });
    if (!answer.ok || answer.body === null) return false;
    wasOpen = true;
    connection.value = "live";
    for await (const data of messages(answer.body)) take(JSON.parse(data) as LogEvent);
  } catch (failure) {
    // What fetch throws when the network or the server goes away; anything else is a fault of ours.
    if (!(failure instanceof TypeError)) throw failure;
  }
  return wasOpen;
}

function take(event: LogEvent): void {
  if (event.seq <= lastSeq) return;
  lastSeq = event.seq;
  for (const listener of listeners) listener(event);
}
