"""Write docs/map.md: every module of the package in one line, from its own docstring."""

from __future__ import annotations

import ast
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "interlock"
PAGE = ROOT / "docs" / "map.md"
ORDER = (
    *("core", "ports", "data", "labels", "features", "pipelines", "experiments", "tuning", "registry", "serving"),
    *("monitoring", "advisor", "adapters", "loop", "workspace", "server", "demo", "cli", "testing"),
)
HEAD = """# Map

Every module in one line. Written by `make map` from the first line of each module's docstring; do not edit.
Nothing imports upwards or sideways: see [the rules](../AGENTS.md) and
[ADR 0001](adr/0001-one-package-independent-rooms.md).
"""


def page() -> str:
    """Return the text of the map."""
    paths = sorted(PACKAGE.rglob("*.py"), key=_place)
    lines = [HEAD]
    for room, group in groupby(paths, key=_room):
        lines.append(f"## {room}\n")
        lines += [f"- `{path.relative_to(PACKAGE).as_posix()}`: {_first_line(path)}" for path in group]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _room(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "interlock" if parts == ("__init__",) else parts[0]


def _place(path: Path) -> tuple[int, str, bool, str]:
    room = _room(path)
    rank = ORDER.index(room) if room in ORDER else -1
    return rank, str(path.parent), path.name != "__init__.py", path.name


def _first_line(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    return docstring.partition("\n")[0] if docstring else ""


if __name__ == "__main__":
    PAGE.write_text(page())
