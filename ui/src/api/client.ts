/** Read the API: one function, and one error that carries the server's Problem. */
import type { Problem } from "../api-types";
import { credentials } from "./token";

const API = "/api/v1";

export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.what);
    this.problem = problem;
  }
}

/** A name as one segment of a path, with the slashes it may hold escaped. */
export function pathOf(name: string): string {
  return encodeURIComponent(name);
}

export function apiUrl(path: string): string {
  return API + path;
}

/** GET a path below `/api/v1`; every failure arrives as a ProblemError. */
export async function read<T>(path: string, abort?: AbortSignal): Promise<T> {
  return JSON.parse(await readText(path, abort)) as T;
}

/** The same for what is no JSON. */
export async function readText(path: string, abort?: AbortSignal): Promise<string> {
  let answer: Response;
  try {
    answer = await fetch(apiUrl(path), {
      headers: { accept: "application/json", ...credentials() },
      ...(abort && { signal: abort }),
    });
  } catch (failure) {
    if (abort?.aborted) throw failure;
    throw new ProblemError({
      code: "offline",
      what: "the server does not answer",
      why: `GET ${apiUrl(path)} got no response`,
      fix: "interlock up",
    });
  }
  const text = await answer.text();
  if (answer.ok) return text;
  throw new ProblemError(problemOf(text, answer.status, path));
}

/** POST to the data plane as any client would; every failure arrives as a ProblemError, in whatever shape it came. */
export async function ask<T>(path: string, body: unknown): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json", ...credentials() },
      body: JSON.stringify(body),
    });
  } catch {
    throw new ProblemError({ code: "offline", what: "the server does not answer", why: `POST ${path} got no response`, fix: "interlock up" });
  }
  const text = await answer.text();
  if (answer.ok) return JSON.parse(text) as T;
  const [what = "", why = ""] = said(text).split(/; (.*)/s);
  throw new ProblemError(what === "" ? problemOf(text, answer.status, path) : { code: `HTTP ${answer.status}`, what, why, fix: "" });
}

/** What an error of the Open Inference Protocol says. */
function said(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    return typeof error === "string" ? error : "";
  } catch {
    return "";
  }
}

/** Set one tag of a run, over the one protocol for it: MLflow's. */
export async function setRunTag(run: string, key: string, value: string): Promise<void> {
  const path = "/api/2.0/mlflow/runs/set-tag";
  let answer: Response;
  try {
    answer = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json", ...credentials() },
      body: JSON.stringify({ run_id: run, key, value }),
    });
  } catch {
    throw new ProblemError({ code: "offline", what: "the server does not answer", why: `POST ${path} got no response`, fix: "interlock up" });
  }
  if (answer.ok) return;
  const { error_code, message } = (await answer.json().catch(() => ({}))) as { error_code?: string; message?: string };
  throw new ProblemError({ code: error_code ?? `HTTP ${answer.status}`, what: "it was not saved", why: message ?? "", fix: "" });
}

function problemOf(text: string, status: number, path: string): Problem {
  try {
    const body = JSON.parse(text) as Partial<Problem>;
    if (typeof body.what === "string") {
      return { code: body.code ?? `HTTP ${status}`, what: body.what, why: body.why ?? "", fix: body.fix ?? "" };
    }
  } catch {
    // Not one of ours: a proxy in between, or a server that died half-way.
  }
  return {
    code: `HTTP ${status}`,
    what: `the server answered ${status}`,
    why: `GET ${apiUrl(path)} did not return what this page reads`,
    fix: "interlock doctor",
  };
}
