/**
 * Render the Markdown of a model card as elements, never as HTML: headings, paragraphs, lists, tables, code, quotes,
 * emphasis and links. What it does not know stays text, so a card can carry nothing that runs.
 */
import type { ComponentChildren, VNode } from "preact";

const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*|\[([^\]]+)\]\(([^)\s]+)\)/g;
const SAFE_LINK = /^(https?:\/\/|\/(?!\/)|#)/;

export function Markdown(props: { text: string }) {
  return <div class="prose">{blocks(props.text.split(/\r?\n/))}</div>;
}

function blocks(lines: readonly string[]): VNode[] {
  const out: VNode[] = [];
  let at = 0;
  const take = (belongs: (line: string) => boolean): string[] => {
    const start = at;
    while (at < lines.length && belongs(lines[at]!)) at += 1;
    return lines.slice(start, at);
  };
  while (at < lines.length) {
    const line = lines[at]!;
    const heading = /^(#{1,4})\s+(.*)$/.exec(line);
    if (line.trim() === "") at += 1;
    else if (line.startsWith("```")) {
      at += 1;
      const body = take((one) => !one.startsWith("```"));
      at += 1;
      out.push(<pre>{body.join("\n")}</pre>);
    } else if (heading) {
      at += 1;
      const Tag = `h${Math.min(heading[1]!.length + 1, 4)}` as "h2" | "h3" | "h4";
      out.push(<Tag>{inlines(heading[2]!)}</Tag>);
    } else if (/^\s*[-*]\s+/.test(line)) {
      const items = take((one) => /^\s*[-*]\s+/.test(one));
      out.push(
        <ul>
          {items.map((item) => (
            <li>{inlines(item.replace(/^\s*[-*]\s+/, ""))}</li>
          ))}
        </ul>,
      );
    } else if (/^\s*\d+\.\s+/.test(line)) {
      const items = take((one) => /^\s*\d+\.\s+/.test(one));
      out.push(
        <ol>
          {items.map((item) => (
            <li>{inlines(item.replace(/^\s*\d+\.\s+/, ""))}</li>
          ))}
        </ol>,
      );
    } else if (line.startsWith("|")) out.push(table(take((one) => one.startsWith("|"))));
    else if (line.startsWith(">")) {
      out.push(<blockquote>{blocks(take((one) => one.startsWith(">")).map((one) => one.replace(/^>\s?/, "")))}</blockquote>);
    } else {
      at += 1;
      out.push(<p>{inlines([line, ...take((one) => /^[^\s#>|`-]/.test(one))].join(" "))}</p>);
    }
  }
  return out;
}

function table(lines: readonly string[]): VNode {
  const rows = lines
    .filter((line) => !/^\|[\s:|-]+\|?$/.test(line))
    .map((line) => line.replace(/^\||\|\s*$/g, "").split("|"));
  const [head = [], ...body] = rows;
  return (
    <table>
      <thead>
        <tr>
          {head.map((cell) => (
            <th>{inlines(cell.trim())}</th>
          ))}
        </tr>
      </thead>
      <tbody>
        {body.map((row) => (
          <tr>
            {row.map((cell) => (
              <td>{inlines(cell.trim())}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function inlines(text: string): ComponentChildren[] {
  const out: ComponentChildren[] = [];
  let done = 0;
  for (const match of text.matchAll(INLINE)) {
    out.push(text.slice(done, match.index));
    const [whole, code, strong, em, label, href] = match;
    if (code !== undefined) out.push(<code>{code}</code>);
    else if (strong !== undefined) out.push(<strong>{strong}</strong>);
    else if (em !== undefined) out.push(<em>{em}</em>);
    else if (href !== undefined && SAFE_LINK.test(href)) out.push(<a href={href}>{label}</a>);
    else out.push(whole);
    done = match.index + whole.length;
  }
  out.push(text.slice(done));
  return out;
}
