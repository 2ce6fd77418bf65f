"""Refs are found among arguments."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from interlock.core.hashing import digest_of
from interlock.core.refs import Ref
from interlock.pipelines.lineage import artifact_ref, input_edges, plain_params, refs_in
from interlock.ports.journal import Edge


class Versioned(msgspec.Struct):
    ref: str


class Plain(msgspec.Struct):
    x: int


@pytest.mark.parametrize(
    ("value", "refs"),
    [
        ("dataset:flights@3", ["dataset:flights@3"]),
        ("run:01J", ["run:01J"]),
        ("dataset:flights", []),
        ("note: not a ref", []),
        ("nothing", []),
        (Ref("model", "delay", "7"), ["model:delay@7"]),
        (Versioned("dataset:a@1"), ["dataset:a@1"]),
        (Plain(1), []),
        ([Ref("model", "a", "1"), {"k": ("dataset:b@2",)}], ["model:a@1", "dataset:b@2"]),
        (3, []),
    ],
)
def test_refs_are_found(value: Any, refs: list[str]) -> None:
    assert list(refs_in(value)) == refs


def test_edges_name_each_source_once() -> None:
    arguments = {"a": "dataset:x@1", "b": ["dataset:x@1"], "c": 1}
    assert input_edges(arguments, "run:r") == [Edge("dataset:x@1", "run:r", "used")]


def test_an_artifact_ref_parses() -> None:
    assert Ref.parse(artifact_ref(digest_of(b"x"))).kind == "artifact"


def test_params_are_what_a_run_can_show() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    given = {
        "n": 1, "f": 0.5, "b": True, "none": None, "s": "text", "l": [1, "a"], "d": date(2026, 1, 1), "t": moment,
        "big": 2**70, "long": "x" * 501, "many": list(range(101)), "object": object(), "dict": {"a": 1},
    }  # fmt: skip
    assert plain_params(given) == {
        "n": 1, "f": 0.5, "b": True, "none": None, "s": "text", "l": [1, "a"], "d": "2026-01-01",
        "t": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
