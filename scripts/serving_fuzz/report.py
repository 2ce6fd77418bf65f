"""Say what a run did, as a record and as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.serving_fuzz.fuzzing import Tally
from scripts.serving_fuzz.watched import Reading


def summary(
    tally: Tally, readings: Mapping[str, tuple[Reading, Reading]], *, seed: int, seconds: float, folder: Path
) -> dict[str, Any]:
    """Return the whole result as plain values."""
    kinds: dict[str, Counter[str]] = {}
    for (kind, outcome), count in tally.counts.items():
        kinds.setdefault(kind, Counter())[outcome] += count
    return {
        "seed": seed,
        "seconds": round(seconds, 1),
        "requests": tally.counts.total(),
        "known_good_rounds": tally.checked,
        "rows_answered_and_logged": tally.own,
        "rows_logged": tally.logged,
        "kinds": {kind: dict(sorted(kinds[kind].items())) for kind in sorted(kinds)},
        "servers": {
            title: {
                "rss_mb": [round(one.rss_mb, 1) for one in pair],
                "threads": [one.threads for one in pair],
                "files": [one.files for one in pair],
                "cpu_s": [round(one.cpu_s, 1) for one in pair],
                "same_processes": pair[0].processes == pair[1].processes,
            }
            for title, pair in readings.items()
        },
        "findings": [
            {"what": one.what, "kind": one.cases[-1].kind if one.cases else "", "replies": one.replies}
            for one in tally.findings
        ],
        "folder": str(folder),
    }


def table(result: Mapping[str, Any]) -> str:
    """Return a result as text."""
    lines = [
        f"seed {result['seed']}: {result['requests']} requests in {result['seconds']:.0f} s, "
        f"{result['known_good_rounds']} rounds of known good requests between them",
        "",
        "| What was asked | Requests | Outcomes |",
        "|---|---:|---|",
    ]
    for kind, outcomes in result["kinds"].items():
        told = ", ".join(f"{outcome} ×{count}" for outcome, count in outcomes.items())
        lines.append(f"| {kind} | {sum(outcomes.values())} | {told} |")
    lines += ["", "| Server | RSS, MB | Threads | Open files | CPU, s | Same processes |", "|---|---|---|---|---|---|"]
    for title, one in result["servers"].items():
        cells = [f"{first} → {last}" for first, last in (one[name] for name in ("rss_mb", "threads", "files", "cpu_s"))]
        lines.append(f"| {title} | {' | '.join(cells)} | {'yes' if one['same_processes'] else 'no'} |")
    lines += [
        "",
        f"{result['rows_answered_and_logged']} rows answered and found in the log, of {result['rows_logged']} logged",
        f"{len(result['findings'])} findings" + (f", in {result['folder']}" if result["findings"] else ""),
    ]
    lines += [f"- {one['what'].splitlines()[0]} {one['kind']}" for one in result["findings"]]
    return "\n".join(lines)
