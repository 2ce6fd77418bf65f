/** The token of a server that wants one: asked for once, kept for this tab only. */
const STORED = "interlock.token";

export function keepToken(token: string): void {
  sessionStorage.setItem(STORED, token);
}

/** The headers that show who asks. */
export function credentials(): Record<string, string> {
  const token = sessionStorage.getItem(STORED);
  return token === null ? {} : { authorization: `Bearer ${token}` };
}
