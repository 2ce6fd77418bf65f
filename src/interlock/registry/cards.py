"""Write the card of a model version: what it is, what it was made from, how to call it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from interlock.core.schema import Column
from interlock.core.units import human_bytes
from interlock.ports.model_store import ModelVersion
from interlock.registry.packaging import plain_value


def write_card(
    version: ModelVersion,
    *,
    estimator: str,
    inputs: Sequence[str],
    example: Mapping[str, list[Any]],
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
    facts = version.facts
    if version.engine != "onnx":
        return f"Served by {version.engine}, {facts['one_row_us']:.0f} µs a row. Not compiled: {facts['not_compiled']}."
    return (
        f"Compiled to ONNX ({facts['precision']}): {facts['onnx_us']:.0f} µs a row, {facts['sklearn_us']:.0f} µs by "
        f"scikit-learn. The largest difference on {facts['rows_compared']} rows, edge cases among them, is "
        f"{facts['max_difference']:.2g}."
    )


def _call(version: ModelVersion, example: Mapping[str, list[Any]]) -> str:
    record = {name: plain_value(values[0]) for name, values in example.items()}
    body = json.dumps({"dataframe_records": [record]}, indent=2)
    return f"`POST /endpoints/<endpoint>/invocations` with\n\n```json\n{body}\n```"
