"""Make a step of a whole notebook, Jupyter's or marimo's."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from interlock.core.errors import InvalidInput, StepFailed, did_you_mean
from interlock.pipelines.notebook_cells import Cell, cells_of_jupyter, cells_of_marimo, needed, readable
from interlock.pipelines.options import StepOptions, make_options
from interlock.pipelines.steps import Options, Step


def notebook_step(
    path: str | Path, *, outputs: str | Sequence[str], name: str | None = None, **options: Unpack[Options]
) -> Step[..., Any]:
    """Return a step that runs the code cells of a notebook in a namespace of their own.

    Its parameters are what the cell tagged `parameters` sets (of a marimo file: the cell called `parameters`), with
    those values as defaults. Its key covers the code of every cell and all that they use; text cells, outputs,
    comments and the order of JSON do not count.

    Args:
        path: A `.ipynb` file, or a marimo `.py` file.
        outputs: Variables to return at the end: one name for that value, several for a dict.
        name: A name for people; the file's own if not given.
        options: As for `step`.

    Raises:
        InvalidInput: The file is no notebook, a cell is no Python, or no cell sets an output.

    Example:
        >>> report = notebook_step("report.ipynb", outputs=["summary"])    # doctest: +SKIP
        >>> report(month="2026-10")                                        # doctest: +SKIP
        {'summary': ...}
    """
    path = Path(path)
    cells = _cells(path)
    wanted = (outputs,) if isinstance(outputs, str) else tuple(outputs)
    known = {bound for cell in cells for bound in cell.binds}
    for one in wanted:
        if one not in known:
            raise InvalidInput(
                f"no cell of {path.name} sets '{one}'", why=did_you_mean(one, known), fix=f"{one} = … in a cell"
            )
    title = name or re.sub(r"\W+", "_", path.stem).strip("_") or "notebook"
    config = make_options(options, step=title)
    return _make(needed(cells, wanted), wanted, isinstance(outputs, str), title, path.name, config)


def _cells(path: Path) -> tuple[Cell, ...]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read as a notebook", why=f"{type(error).__name__}: {error}") from error
    if path.suffix == ".ipynb":
        return cells_of_jupyter(text, path.name)
    if path.suffix == ".py":
        return cells_of_marimo(text, path.name)
    raise InvalidInput(f"{path.name} is no notebook", why="expected a .ipynb file, or a .py file of marimo")


def _make(
    cells: tuple[Cell, ...], wanted: tuple[str, ...], single: bool, title: str, file: str, config: StepOptions
) -> Step[..., Any]:
    codes = tuple(compile(cell.source, f"<{file} {cell.label}>", "exec", dont_inherit=True) for cell in cells)
    labels = [cell.label for cell in cells]
    after = next((place for place, cell in enumerate(cells) if cell.parameters is not None), -1)
    found = (cells[after].parameters if after >= 0 else None) or {}
    signature = inspect.Signature(
        [inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=value) for key, value in found.items()]
    )

    def body(**given: Any) -> Any:
        signature.bind(**given)
        space: dict[str, Any] = {"__name__": "__main__"}
        for place, code in enumerate(codes):
            _run(code, space, f"{labels[place]} of {file}")
            if place == after:
                space.update(given)
        missing = [one for one in wanted if one not in space]
        if missing:
            raise StepFailed(f"{file} ended without setting '{missing[0]}'", why="no cell that ran sets it")
        return space[wanted[0]] if single else {one: space[one] for one in wanted}

    body.__name__ = body.__qualname__ = title
    body.__module__ = "__main__"
    body.__doc__ = f"Run the cells of {file}."
    body.__signature__ = signature  # type: ignore[attr-defined]  # inspect reads it from there
    # what its key is made of: the cells as functions, so that what they import and call counts
    body.__wrapped__ = readable(codes)  # type: ignore[attr-defined]
    return Step(body, name=title, config=config, rebuilt=(_make, (cells, wanted, single, title, file, config)))


def _run(code: types.CodeType, space: dict[str, Any], where: str) -> None:
    try:
        exec(code, space)
    except Exception as error:
        error.add_note(f"in {where}")
        raise
