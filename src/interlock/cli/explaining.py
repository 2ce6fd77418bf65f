"""Explain what a model version says of some rows."""

from __future__ import annotations

from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from interlock.cli.data import READERS
from interlock.cli.noun import Here
from interlock.cli.output import Answer, Table, table
from interlock.core.errors import InvalidInput, NotFound
from interlock.serving.explaining import PERMUTATIONS, Explained
from interlock.serving.validation import RowCheck
from interlock.workspace import open_workspace

_SHOWN_ROWS = 10


def explain(
    model: str,
    /,
    *,
    rows: Path | None = None,
    limit: int = 100,
    sampled: Annotated[bool, Parameter(negative=())] = False,
    permutations: int = PERMUTATIONS,
    session: Here,
) -> Answer:
    """Say what each column contributed to what a version says of some rows; sums are checked.

    Args:
        model: Its Ref: a number, an alias, or the newest (`model:delay@champion`).
        rows: A file with rows: CSV, Parquet, JSON or JSON lines. The version's example if not given.
        limit: At most so many rows.
        sampled: Estimate, also where there is an exact way.
        permutations: How many orders of the columns are tried for an estimate.
    """
    with open_workspace(session.uri, create=False) as workspace:
        version = workspace.registry.resolve(model)
        names = version.signature.input_names
        if rows is None:
            example = workspace.registry.example(version)
            records = [
                dict(zip(names, row, strict=True)) for row in zip(*(example[name] for name in names), strict=True)
            ]
        else:
            records = [{name: record.get(name) for name in names} for record in read_records(rows)]
        asked = RowCheck(version.signature).records(records[:limit])
        explainer = workspace.explain_model(version.ref)
        found = explainer.explain(
            asked.columns, rows=asked.rows, mode="sampled" if sampled else "auto", permutations=permutations
        )
    assert found is not None
    how = f"{found.method}; in {found.space}; sums are within {found.largest_gap:.1g} of what the model itself says"
    return Answer(found, (_table(found), how))


def read_records(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file.

    Raises:
        NotFound: There is no such file.
        InvalidInput: It cannot be read.
    """
    try:
        if path.suffix in (".json", ".jsonl", ".ndjson"):
            data = path.read_bytes()
            if path.suffix == ".json":
                return msgspec.json.decode(data, type=list[dict[str, Any]])
            return msgspec.json.Decoder(dict[str, Any]).decode_lines(data)
        if path.suffix in READERS:
            return READERS[path.suffix](str(path), backend="pyarrow").rows(named=True)  # type: ignore[no-any-return]
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}") from error
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise InvalidInput(f"the rows in {path} cannot be read", why=str(error)[:300]) from error
    raise InvalidInput(f"the rows in {path} cannot be read", why="expected .csv, .parquet, .json or .jsonl")


def _table(found: Explained) -> Table | str:
    """Return the largest contributions of the first rows."""
    lines = []
    for number, parts in enumerate(found.explanations[:_SHOWN_ROWS]):
        for part in parts:
            largest = sorted(part.contributions.items(), key=lambda one: -abs(one[1]))[:5]
            lines.append(
                {
                    "row": number,
                    "output": part.output,
                    "base": f"{part.base:.4g}",
                    "value": f"{part.value:.4g}",
                    "most by": ", ".join(f"{name} {by:+.3g}" for name, by in largest),
                }
            )
    if not lines:
        return "there are no rows"
    return table(lines, {title: itemgetter(title) for title in lines[0]})
