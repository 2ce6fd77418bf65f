"""Read the package's own source once, for the house rules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "interlock"


@dataclass(frozen=True)
class Module:
    """One Python file of the package."""

    path: Path

    @property
    def name(self) -> str:
        """Its dotted name."""
        parts = self.path.relative_to(PACKAGE.parent).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def is_face(self) -> bool:
        """Whether it is an `__init__`."""
        return self.path.name == "__init__.py"

    @cached_property
    def text(self) -> str:
        """Its source."""
        return self.path.read_text()

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text, filename=str(self.path))


@cache
def modules() -> tuple[Module, ...]:
    """Return every module of the package, by name."""
    return tuple(sorted((Module(path) for path in PACKAGE.rglob("*.py")), key=lambda module: module.name))


@dataclass(frozen=True)
class Definition:
    """A function or a class with the dotted path to it."""

    module: Module
    path: str
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

    @property
    def is_public(self) -> bool:
        """Whether no part of the path begins with an underscore."""
        return not any(part.startswith("_") for part in self.path.split("."))

    @property
    def is_overload(self) -> bool:
        """Whether it only states a type; the implementation explains itself once for all."""
        return any(isinstance(each, ast.Name) and each.id == "overload" for each in self.node.decorator_list)


def definitions(module: Module) -> Iterator[Definition]:
    """Yield the functions and classes of a module, methods included, functions inside functions not."""
    yield from _within(module, module.tree, "")


def _within(module: Module, node: ast.AST, prefix: str) -> Iterator[Definition]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield Definition(module, prefix + child.name, child)
            if isinstance(child, ast.ClassDef):
                yield from _within(module, child, f"{prefix}{child.name}.")
        elif isinstance(child, (ast.If, ast.Try, ast.With)):
            yield from _within(module, child, prefix)


@dataclass(frozen=True)
class Import:
    """One first-party import: who imports what, where, and whether inside a function."""

    module: Module
    target: str
    line: int
    deferred: bool


def imports(module: Module) -> list[Import]:
    """Return the first-party imports of a module, those under `if TYPE_CHECKING` left out."""
    known = {each.name for each in modules()}
    found: list[Import] = []

    def visit(node: ast.AST, deferred: bool) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for child in node.orelse:
                visit(child, deferred)
            return
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "interlock":
                    found.append(Import(module, alias.name, node.lineno, deferred))
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            assert node.level == 0, f"{module.path}:{node.lineno}: imports are absolute"
            if base.split(".")[0] == "interlock":
                for alias in node.names:
                    target = f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base
                    found.append(Import(module, target, node.lineno, deferred))
        inside = deferred or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(module.tree, False)
    return found
