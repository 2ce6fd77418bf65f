"""Write the card of a model version: what it is, what it was made from, how to call it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from interlock.core.schema import Column
from interlock.core.units import human_bytes
from interlock.ports.model_store import ModelVersion
from interlock.registry.packaging import plain_list, plain_value

_LONGEST_BODY = 2_000


def write_card(
    version: ModelVersion,
    *,
    estimator: str,
    inputs: Sequence[str],
    example: Mapping[str, Any],
    facts: Mapping[str, str],
) -> str:
    """Return the card in Markdown.

    Args:
        version: The version it describes (a draft, before its number is known).
        estimator: The estimator in words.
        inputs: Refs of what it was trained on.
        example: Example rows by column; the first shows how to call it.
        facts: Further lines by name, as the author gives them.
    """
    sections = [
        f"# {version.model}",
        _list({"Estimator": f"`{estimator}`", "Registered": f"{version.created_at:%Y-%m-%d %H:%M} UTC", **facts}),
        "## Data and lineage",
        _list(
            {
                "Run": f"`run:{version.run}`" if version.run else "none named",
                "Trained on": ", ".join(f"`{ref}`" for ref in inputs) or "nothing named",
            }
        ),
        "## Metrics",
        _list({name: f"{value:.6g}" for name, value in sorted(version.metrics.items())}) or "None were given.",
        "## Signature",
        _table("takes", version.signature.inputs),
        _table("gives", version.signature.outputs),
        "## Engine",
        _engine(version),
        "## How to call it",
        _call(version, example),
        "## Files",
        _list({f"`{file.path}`": f"{human_bytes(file.size_bytes)}, `{file.digest[:15]}…`" for file in version.files}),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _list(entries: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {text}" for name, text in entries.items())


def _table(verb: str, columns: tuple[Column, ...]) -> str:
    rows = [
        f"| {column.name.replace('|', chr(92) + '|')} | {column.type} | {'yes' if column.nullable else 'no'} "
        f"| {column.unit or ''} |"
        for column in columns
    ]
    return "\n".join([f"| {verb} | type | may be missing | unit |", "|---|---|---|---|", *rows])


def _engine(version: ModelVersion) -> str:
    """Return who answers how many rows, how quickly and how closely."""
    facts = version.facts
    engines: list[dict[str, Any]] = facts["engines"]
    native = engines[0]
    few = next(one for one in engines if one["engine"] == version.engine)
    many = facts.get("many")
    lines = [f"{few['title']} answers, {_us(facts['one_row_us'])} a row and {_us(facts['rows512_us'])} for 512 rows."]
    if many:
        more = next(one for one in engines if one["engine"] == many["engine"])
        lines = [
            f"{few['title']} answers fewer than {many['from_rows']} rows, {_us(few['one_row_us'])} for one;"
            f" {more['title']} answers more, {_us(more['rows512_us'])} for 512."
        ]
    if few is not native:
        times = native["one_row_us"] / few["one_row_us"]
        lines.append(
            f"One row is {times:.1f} times as quick as by {native['title']}. The largest difference on"
            f" {facts['rows_compared']} rows, edge cases among them, is {facts['max_difference']:.2g}."
        )
    if "not_compiled" in facts:
        lines.append(f"Not compiled: {facts['not_compiled']}.")
    table = [
        f"| {one['title']} | {_us(one['one_row_us'])} | {_us(one['rows512_us'])} | {one['max_difference']:.2g} |"
        for one in engines
    ]
    return "\n".join(
        [" ".join(lines), "", "| form | 1 row | 512 rows | largest difference |", "|---|---|---|---|", *table]
    )


def _us(microseconds: float) -> str:
    return f"{microseconds:.1f} µs" if microseconds < 100 else f"{microseconds:,.0f} µs"


def _call(version: ModelVersion, example: Mapping[str, Any]) -> str:
    if version.signature.is_tensor:
        body = json.dumps({"inputs": {name: plain_list(values[:1]) for name, values in example.items()}})
        shown = body if len(body) <= _LONGEST_BODY else f"{body[:_LONGEST_BODY]}…"
        return f"`POST /endpoints/<endpoint>/invocations` with\n\n```json\n{shown}\n```"
    record = {name: plain_value(values[0]) for name, values in example.items()}
    body = json.dumps({"dataframe_records": [record]}, indent=2)
    return f"`POST /endpoints/<endpoint>/invocations` with\n\n```json\n{body}\n```"
