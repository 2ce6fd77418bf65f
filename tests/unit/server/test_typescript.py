"""The TypeScript types say what JSON says."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from interlock.server.typescript import declarations, main, view_records

UI_TYPES = Path(__file__).parents[3] / "ui" / "src" / "api-types.ts"


class Inner(msgspec.Struct):
    """One inner thing."""

    value: float
    share: float


class Outer(msgspec.Struct):
    """What is outside."""

    kind: Literal["a", "b"]
    at: datetime
    inners: tuple[Inner, ...]
    by_name: dict[str, Inner | None]
    free: Any
    maybe: list[str | None] | None
    data: bytes
    count: int
    on: bool
    metrics: dict[str, float]


def test_each_kind_of_field_has_its_type() -> None:
    source = declarations([Outer])
    assert source.index("export interface Inner") < source.index("export interface Outer")
    assert "/** What is outside. */" in source
    body = source[source.index("export interface Outer") :]
    assert [line.strip() for line in body.splitlines()[1:-1]] == [
        'kind: "a" | "b"',
        "at: string",
        "inners: Inner[]",
        "by_name: Record<string, Inner | null>",
        "free: unknown",
        "maybe: (string | null)[] | null",
        "data: string",
        "count: number",
        "on: boolean",
        "metrics: Record<string, number | null>",
    ]


def test_what_users_measure_may_be_null() -> None:
    source = declarations([Inner])
    assert "value: number | null\n" in source
    assert "share: number\n" in source


def test_every_record_of_the_views_is_declared() -> None:
    source = declarations(view_records())
    names = {record.__name__ for record in view_records()}
    assert {"LoopView", "RunDetail", "LineageView", "Problem", "Station", "Trace"} <= names
    for name in (*(record.__name__ for record in view_records()), "Station", "Event", "Verdict", "Run"):
        assert source.count(f"export interface {name} {{") == 1, name


def test_the_types_of_the_ui_are_up_to_date() -> None:
    assert UI_TYPES.read_text() == declarations(view_records()), (
        "run: .venv/bin/python -m interlock.server.typescript ui/src/api-types.ts"
    )


def test_the_command_writes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "new" / "types.ts")]) == 0
    assert (tmp_path / "new" / "types.ts").read_text() == declarations(view_records())
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
