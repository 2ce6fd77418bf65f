/** Save stored contents to a file; by fetch, because a plain link shows no token. */
import { apiUrl, pathOf } from "./client";
import { credentials } from "./token";

export async function download(digest: string, fileName: string): Promise<void> {
  const answer = await fetch(apiUrl(`/artifacts/${pathOf(digest)}`), { headers: credentials() });
  if (!answer.ok) throw new Error(`artifact ${digest}: the server answered ${answer.status}`);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = fileName;
  link.click();
  URL.revokeObjectURL(link.href);
}
