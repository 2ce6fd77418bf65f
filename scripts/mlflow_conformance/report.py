"""Compares what came of MLflow's tests on its own server and on ours, and writes the page about it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from .areas import AREAS

Outcomes = Mapping[str, Mapping[str, Any]]
HEAD = """# MLflow conformance

Written by `{command}`; the areas ran on {date}. MLflow's own tests (tree {tests}; Python {python}) run against a
server behind a URL: first the unmodified `mlflow server` {mlflow} (SQLite, one worker), then `interlock up`
{interlock} on an empty folder. Both are processes of their own that start without data for every test; the client in
every test is MLflow's.

- **skipped**: by MLflow itself, wherever it runs, or expected to fail there.
- **not applicable**: does not pass on MLflow's own server behind a URL either, because the test looks into the server's
  process, replaces a part of the client, brings its own database, or needs a network or what is not installed.
- **reach the server**: of the tests that pass on `mlflow server`, those that send it at least one request. The others
  pass without a server and prove nothing about one.

"""
FOOT = """## How to repeat it

`make conformance` clones MLflow's tests, makes a Python with MLflow and the libraries they need, and runs every area on
both servers, which takes hours; then it writes this page and fails if a test is lost. For one area, with a checkout and
a Python at hand, and for the page alone from outcomes at hand:

```sh
python -m scripts.mlflow_conformance --area rest --tests mlflow --python venv/bin/python
python -m scripts.mlflow_conformance --target none --tests mlflow --python venv/bin/python
```

Outcomes are kept in `.conformance/`, over those of earlier runs. Areas whose libraries that Python lacks are not run,
and not in the table.

## What no test asks and is different

- Of points of one metric at one step and in one millisecond, MLflow shows the greatest value as the newest, Interlock
  the one that came last.
- What cannot be kept is refused with 400 where MLflow keeps something else or answers 500; what is kept of a gateway is
  not run. Both, and what else differs on purpose: [use MLflow's clients](../how-to/use-mlflow-clients.md).
"""
COLUMNS = ("area", "tests", "skipped", "not applicable", "pass on mlflow server", "reach the server")
OURS = ("pass on interlock", "fail on interlock")


def passing(outcomes: Outcomes) -> set[str]:
    """Return the tests that pass."""
    return {test for test, record in outcomes.items() if record["outcome"] == "passed"}


def missing(mlflow: Outcomes, interlock: Outcomes) -> dict[str, str]:
    """Return the tests that pass on mlflow server and not on Interlock, with the first line of why."""
    lost = sorted(passing(mlflow) - passing(interlock))
    return {test: why(interlock[test]) if test in interlock else "did not run" for test in lost}


def why(record: Mapping[str, Any]) -> str:
    """Return the first line of a failure, and before it the last request that was refused."""
    refused = record.get("refused", "")
    return f"[{refused}] {record['reason']}" if refused else str(record["reason"])


def row(title: str, mlflow: Outcomes, interlock: Outcomes | None) -> tuple[str, Counter[str]]:
    """Write one line of the table and return its figures."""
    good = passing(mlflow)
    skipped = sum(record["outcome"] == "skipped" for record in mlflow.values())
    reached = sum(bool(mlflow[test]["calls"]) for test in good)
    counts = (len(mlflow), skipped, len(mlflow) - skipped - len(good), len(good), reached)
    figures = Counter(dict(zip(COLUMNS[1:], counts, strict=True)))
    cells = [str(count) for count in counts]
    if interlock is None:
        return line(title, [*cells, "not run", ""]), figures
    lost = len(missing(mlflow, interlock))
    figures.update(dict(zip(OURS, (len(good) - lost, lost), strict=True)))
    return line(title, [*cells, str(len(good) - lost), str(lost)]), figures


def line(title: str, cells: list[str]) -> str:
    """Write one line of a table."""
    return f"| {title} | {' | '.join(cells)} |"


def table(mlflow: Mapping[str, Outcomes], interlock: Mapping[str, Outcomes]) -> list[str]:
    """Write the table of all areas that ran."""
    names = (*COLUMNS[1:], *OURS)
    lines = [line(COLUMNS[0], list(names)), "|---" * (len(names) + 1) + "|"]
    total: Counter[str] = Counter()
    for area in AREAS:
        if area.name in mlflow:
            written, figures = row(area.title, mlflow[area.name], interlock.get(area.name))
            lines.append(written)
            total += figures
    return [*lines, line("**all**", [f"**{total[name]}**" for name in names]), ""]


def failures(mlflow: Mapping[str, Outcomes], interlock: Mapping[str, Outcomes]) -> list[str]:
    """Write the list that must be empty."""
    lines = ["## Passes on mlflow server, fails on Interlock", ""]
    found = False
    for area in AREAS:
        lost = missing(mlflow[area.name], interlock[area.name]) if area.name in interlock else {}
        if lost:
            found = True
            lines += [f"### {area.title}", "", *(f"- `{test}`: {code(cause)}" for test, cause in lost.items()), ""]
    return lines if found else [*lines, "None.", ""]


def code(text: str) -> str:
    """Write a failure's line so that nothing in it is taken for Markdown."""
    return f"`{text.replace('`', chr(39))[:240]}`" if text else "no message"


def plain(text: str) -> str:
    """Return a failure's line without the folders of the machine it ran on."""
    return re.sub(r"/[^\s']*/site-packages/", "site-packages/", text)


def not_applicable(mlflow: Mapping[str, Outcomes]) -> list[str]:
    """Write why tests do not apply, the most common first lines by area."""
    lines = ["## Not applicable, and why", ""]
    for area in AREAS:
        records = mlflow.get(area.name, {})
        others = (record for record in records.values() if record["outcome"] not in ("passed", "skipped"))
        causes = Counter(code(plain(str(record["reason"]))[:110]) for record in others)
        if causes:
            lines += [
                f"### {area.title}",
                "",
                *(f"- {count}: {text}" for text, count in sorted(causes.items(), key=rank)[:8]),
            ]
            rest = sum(count for _, count in sorted(causes.items(), key=rank)[8:])
            lines += [f"- {rest}: other", ""] if rest else [""]
    return lines


def rank(entry: tuple[str, int]) -> tuple[int, str]:
    """Order by how often, then by text."""
    return (-entry[1], entry[0])


def page(mlflow: Mapping[str, Outcomes], interlock: Mapping[str, Outcomes], facts: Mapping[str, str]) -> str:
    """Write the whole page."""
    parts = [*table(mlflow, interlock), *failures(mlflow, interlock), *not_applicable(mlflow)]
    return HEAD.format(**facts) + "\n".join(parts).rstrip() + "\n\n" + FOOT
