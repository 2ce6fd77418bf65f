"""Show runs in notebooks: HTML that stands by itself, with everything in it escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from interlock.core.plain import as_text
from interlock.core.units import human_seconds
from interlock.ports.run_store import Run

_MOST_ROWS = 40
_LONGEST = 120
_COLOURS = {"running": "#2563eb", "finished": "#15803d", "failed": "#b91c1c", "killed": "#a16207"}
_STYLE = (
    "<style>.il-card{font:13px/1.45 system-ui,sans-serif;border:1px solid #8884;border-radius:8px;padding:10px 14px;"
    "max-width:960px}.il-card h4{margin:0 0 6px;font-size:14px}.il-card table{border-collapse:collapse;margin:6px 18px "
    "6px 0}.il-card td,.il-card th{padding:2px 10px 2px 0;text-align:left;vertical-align:top;border-bottom:1px solid "
    "#8882;background:none}.il-card .n{font-variant-numeric:tabular-nums;text-align:right}.il-card .d{opacity:.65}"
    ".il-card .row{display:flex;flex-wrap:wrap}.il-card pre{white-space:pre-wrap;margin:6px 0;max-height:160px;"
    "overflow:auto}</style>"
)


def run_card(run: Run) -> str:
    """Write what is known of a run as a card."""
    lines = [
        f'<h4>{_text(run.name or run.experiment)} <span style="color:{_COLOURS.get(run.status, "inherit")}">'
        f"{_text(run.status)}</span></h4>",
        f'<div class="d">{_text(run.kind)} run of {_text(run.experiment)} · <code>run:{_text(run.id)}</code>'
        f" · {_text(_when(run))}</div>",
        '<div class="row">',
        _table(("param", "value"), list(_flat(run.params)), numbers=False),
        _table(
            ("metric", "last", "min", "max", "points"),
            [(key, one.last, one.min, one.max, one.count) for key, one in sorted(run.metrics.items())],
            numbers=True,
        ),
        _table(("tag", "value"), sorted(run.tags.items()), numbers=False),
        "</div>",
    ]
    if run.error:
        lines.append(f"<pre>{_text(run.error, longest=4000)}</pre>")
    return f'<div class="il-card">{_STYLE}{"".join(lines)}</div>'


def runs_table(title: str, runs: Sequence[Run]) -> str:
    """Write runs as a table with a column for each metric that most of them have."""
    counted: dict[str, int] = {}
    for run in runs:
        for key in run.metrics:
            counted[key] = counted.get(key, 0) + 1
    keys = sorted(counted, key=lambda key: (-counted[key], key))[:6]
    rows = [
        (run.name or run.id, run.experiment, run.status, _when(run))
        + tuple(run.metrics[key].last if key in run.metrics else "" for key in keys)
        for run in runs
    ]
    body = _table(("run", "experiment", "status", "started", *keys), rows, numbers=True)
    return f'<div class="il-card">{_STYLE}<h4>{_text(title)}</h4>{body or "<div>no runs yet</div>"}</div>'


def _when(run: Run) -> str:
    took = f", {human_seconds((run.ended_at - run.started_at).total_seconds())}" if run.ended_at else ""
    return f"{run.started_at:%Y-%m-%d %H:%M:%S} UTC{took}"


def _flat(params: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in sorted(params.items(), key=lambda item: str(item[0])):
        if isinstance(value, Mapping) and value:
            found += _flat(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", value))
    return found


def _table(titles: Sequence[str], rows: Sequence[Sequence[Any]], *, numbers: bool) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{_text(title)}</th>" for title in titles)
    body = "".join(f"<tr>{''.join(_cell(value, numbers=numbers) for value in row)}</tr>" for row in rows[:_MOST_ROWS])
    left = f'<tr><td class="d">and {len(rows) - _MOST_ROWS} more</td></tr>' if len(rows) > _MOST_ROWS else ""
    return f"<table><tr>{head}</tr>{body}{left}</table>"


def _cell(value: Any, *, numbers: bool) -> str:
    if numbers and isinstance(value, (int, float)) and not isinstance(value, bool):
        shown = f"{value:.6g}" if isinstance(value, float) and math.isfinite(value) else str(value)
        return f'<td class="n">{_text(shown)}</td>'
    return f"<td>{_text(value if isinstance(value, str) else as_text(value))}</td>"


def _text(value: Any, *, longest: int = _LONGEST) -> str:
    text = str(value)
    return html.escape(text if len(text) <= longest else text[: longest - 1] + "…")
