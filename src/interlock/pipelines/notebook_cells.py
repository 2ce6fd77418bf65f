"""Read the code cells of notebooks, Jupyter's and marimo's, as plain Python."""

from __future__ import annotations

import ast
import importlib
import symtable
import types
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from interlock.core.bytecode import read_code
from interlock.core.errors import InvalidInput
from interlock.core.origins import origin_of

_PARAMETERS = "parameters"
_BY_ITSELF = {"app.function", "app.class_definition"}
_FOR_DISPLAY = ("%matplotlib", "%load_ext", "%autoreload", "%config", "%%time", "%%capture", "%pylab")


class Cell(msgspec.Struct, frozen=True):
    """One code cell.

    Args:
        source: Its code.
        label: What people call it: `cell 3`, or its name.
        binds: Names that it sets.
        reads: Names of other cells that it needs; known of marimo's cells only.
        parameters: Names and values that it sets, if it is the cell of parameters.
    """

    source: str
    label: str
    binds: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    parameters: dict[str, Any] | None = None


class _JupyterCell(msgspec.Struct):
    cell_type: str
    source: str | list[str] = ""
    metadata: dict[str, Any] = {}


class _Jupyter(msgspec.Struct):
    cells: list[_JupyterCell]
    metadata: dict[str, Any] = {}


def cells_of_jupyter(text: str, file: str) -> tuple[Cell, ...]:
    """Return the code cells of a `.ipynb` file, in order; commands to Jupyter that only change its display are dropped.

    Raises:
        InvalidInput: It is no notebook of the present format, of another language, or a cell is no plain Python.
    """
    try:
        book = msgspec.json.decode(text, type=_Jupyter)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} is no Jupyter notebook", why=str(error), fix="save it as nbformat 4") from error
    language = book.metadata.get("kernelspec", {}).get("language", "python")
    if language != "python":
        raise InvalidInput(f"{file} is written in {language}", why="a step runs Python")
    cells = []
    for place, one in enumerate(book.cells, 1):
        if one.cell_type != "code":
            continue
        source = _without_magics("".join(one.source), f"cell {place} of {file}")
        tags = one.metadata.get("tags") or []
        cells.append(_cell(source, f"cell {place}", file, parameters=_PARAMETERS in tags))
    return tuple(cells)


def cells_of_marimo(text: str, file: str) -> tuple[Cell, ...]:
    """Return the cells of a marimo file so that each comes after those whose names it reads.

    Raises:
        InvalidInput: It is no marimo file, or two cells set one name.
    """
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise InvalidInput(f"{file} is no Python", why=f"line {error.lineno}: {error.msg}") from error
    above = [*_setup_cells(tree, file), *_function_cells(tree, file)]
    cells = [*above, *_marimo_cells(tree, file, tuple(name for cell in above for name in cell.binds))]
    if len(cells) == len(above):
        raise InvalidInput(f"{file} is no marimo file", why="it has no function under @app.cell")
    makers: dict[str, Cell] = {}
    for cell in cells:
        for bound in cell.binds:
            if not bound.startswith("_") and makers.setdefault(bound, cell) is not cell:
                raise InvalidInput(f"two cells of {file} set '{bound}'", why=f"{makers[bound].label}, {cell.label}")
    order: dict[str, Cell] = {}
    for cell in cells:
        _place(cell, makers, order, ())
    return tuple(order.values())


def needed(cells: Sequence[Cell], names: Sequence[str]) -> tuple[Cell, ...]:
    """Return the cells that some names need, where it is known what each cell reads; all of them elsewhere."""
    if not any(cell.reads for cell in cells):
        return tuple(cells)
    wanted, kept = set(names), []
    for cell in reversed(cells):
        if wanted & set(cell.binds):
            kept.append(cell)
            wanted |= set(cell.reads)
    return tuple(reversed(kept))


def readable(codes: Sequence[types.CodeType]) -> types.FunctionType:
    """Return a function that leads the walk for keys through the code of every cell; it is never called.

    Modules of the project that a cell imports are there under their names, so that what any cell uses of them counts.
    """
    space: dict[str, Any] = {"__name__": "__main__"}
    for code in codes:
        for one in read_code(code).imports:
            if not one.level and origin_of(one.module) == "project":
                _import(space, one.module, one.name, one.bound)
    first = following = None
    for place, code in reversed(list(enumerate(codes))):
        first = types.FunctionType(code, space, f"cell_{place + 1}")
        first.__module__ = "__main__"
        if following is not None:
            first.__wrapped__ = following  # type: ignore[attr-defined]  # how a walk goes on to the next
        following = first
    assert first is not None
    return first


def _import(space: dict[str, Any], module: str, name: str | None, bound: str) -> None:
    try:
        value: Any = importlib.import_module(module)
        if name is not None:
            value = getattr(value, name)
    except (ImportError, AttributeError):
        return  # the cell itself will say so, when it runs
    space[bound] = value


def _cell(source: str, label: str, file: str, *, parameters: bool, reads: tuple[str, ...] = ()) -> Cell:
    try:
        tree = ast.parse(source)
        top = symtable.symtable(source, label, "exec")
    except SyntaxError as error:
        raise InvalidInput(
            f"{label} of {file} is no Python", why=f"line {error.lineno}: {error.msg}", fix="write plain Python"
        ) from error
    binds = tuple(one.get_name() for one in top.get_symbols() if one.is_assigned() or one.is_imported())
    return Cell(source, label, binds, reads, _values(tree, label, file) if parameters else None)


def _values(tree: ast.Module, label: str, file: str) -> dict[str, Any]:
    found = {}
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
        target = node.target if isinstance(node, ast.AnnAssign) and node.value is not None else target
        if not isinstance(target, ast.Name) or not isinstance(node, (ast.Assign, ast.AnnAssign)):
            continue
        try:
            found[target.id] = ast.literal_eval(node.value or ast.Constant(None))
        except ValueError as error:
            raise InvalidInput(
                f"the parameter '{target.id}' in {label} of {file} has no plain value",
                why=f"found {ast.unparse(node)}",
                fix="a number, a text, or a list or dict of them; compute others in the next cell",
            ) from error
    return found


def _without_magics(source: str, where: str) -> str:
    lines = []
    for line in source.splitlines():
        start = line.lstrip()
        if start.startswith(_FOR_DISPLAY):
            continue
        if start.startswith(("%", "!", "?")):
            raise InvalidInput(
                f"{where} has '{start}'", why="only Jupyter understands it", fix="import subprocess, or plain Python"
            )
        lines.append(line)
    return "\n".join(lines)


def _setup_cells(tree: ast.Module, file: str) -> Iterator[Cell]:
    for node in tree.body:
        if isinstance(node, ast.With) and any(ast.unparse(item.context_expr) == "app.setup" for item in node.items):
            yield _cell(_source(node.body), "the setup cell", file, parameters=False)


def _function_cells(tree: ast.Module, file: str) -> Iterator[Cell]:
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and _marks(node) & _BY_ITSELF:
            node.decorator_list = [one for one in node.decorator_list if not ast.unparse(one).startswith("app.")]
            yield _cell(_source([node]), f"cell '{node.name}'", file, parameters=False)


def _marimo_cells(tree: ast.Module, file: str, above: tuple[str, ...]) -> Iterator[Cell]:
    """Yield the cells proper; all of them may use what the setup cell and cells of one function set."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and "app.cell" in _marks(node):
            body = node.body[:-1] if isinstance(node.body[-1], ast.Return) else node.body
            label = f"cell at line {node.lineno}" if node.name == "_" else f"cell '{node.name}'"
            reads = (*(one.arg for one in node.args.args), *above)
            yield _cell(_source(body), label, file, parameters=node.name == _PARAMETERS, reads=reads)


def _marks(node: ast.FunctionDef | ast.ClassDef) -> set[str]:
    return {ast.unparse(one).partition("(")[0] for one in node.decorator_list}


def _source(body: Sequence[ast.stmt]) -> str:
    return ast.unparse(ast.Module(list(body), type_ignores=[])) or "pass"


def _place(cell: Cell, makers: dict[str, Cell], order: dict[str, Cell], above: tuple[str, ...]) -> None:
    if cell.label in order:
        return
    if cell.label in above:
        raise InvalidInput("the cells need each other in a circle", why=" → ".join((*above, cell.label)))
    for name in cell.reads:
        if name in makers and makers[name] is not cell:
            _place(makers[name], makers, order, (*above, cell.label))
    order[cell.label] = cell
