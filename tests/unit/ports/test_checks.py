"""What no store can keep."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.core.errors import InvalidInput
from interlock.ports.checks import (
    LONGEST_KEY,
    LONGEST_TEXT,
    check_count,
    check_key,
    check_limit,
    check_path,
    check_tags,
    check_text,
    pointed_at,
    unknown_name,
    unknown_version,
)
from interlock.ports.journal import Edge


@pytest.mark.parametrize("limit", [0, 1, 10**9])
def test_limits(limit: int) -> None:
    assert check_limit(limit) == limit


@pytest.mark.parametrize("limit", [-1, 1.5, "10", None])
def test_bad_limits(limit: Any) -> None:
    with pytest.raises(InvalidInput, match="limit="):
        check_limit(limit)


@pytest.mark.parametrize("key", ["a", "val/auc @ 0.5", "größe", "x" * LONGEST_KEY])
def test_keys(key: str) -> None:
    assert check_key(key, of="key") == key


@pytest.mark.parametrize("key", ["", "x" * (LONGEST_KEY + 1), "a\0", "\udfff", 3, None])
def test_bad_keys(key: Any) -> None:
    with pytest.raises(InvalidInput, match="cannot be the key of a metric"):
        check_key(key, of="key of a metric")


def test_texts_may_be_empty_and_long_but_not_endless() -> None:
    assert check_text("", of="tag") == ""
    assert check_text("x" * LONGEST_TEXT, of="tag")
    with pytest.raises(InvalidInput) as raised:
        check_text("x" * (LONGEST_TEXT + 1), of="tag")
    assert len(raised.value.what) < 200


@pytest.mark.parametrize("path", ["MLmodel", "data/model.onnx", "a b/ü.txt", ".hidden"])
def test_paths(path: str) -> None:
    assert check_path(path, of="path") == path


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../up", "a/../b", "a//b", "a/", "./a", "a\\b", "a\0b", "C:\\x"])
def test_paths_that_lead_out_or_nowhere(path: str) -> None:
    with pytest.raises(InvalidInput):
        check_path(path, of="path")


@pytest.mark.parametrize("count", [-1, 2**63, 1.0, "1"])
def test_bad_counts(count: Any) -> None:
    assert check_count(2**63 - 1, of="size") == 2**63 - 1
    with pytest.raises(InvalidInput):
        check_count(count, of="size")


def test_tags() -> None:
    check_tags({"team": "ops", "empty": ""})
    for bad in ({"": "v"}, {"k": 1}, {"k": None}, {"k": "\0"}):
        with pytest.raises(InvalidInput, match="tag"):
            check_tags(bad)  # type: ignore[arg-type]


def test_edges_with_an_empty_target_point_at_the_new_thing() -> None:
    edges = [Edge("a", "", "made"), Edge("a", "b", "made")]
    assert pointed_at(edges, "new") == [Edge("a", "new", "made"), Edge("a", "b", "made")]


def test_unknown_names_suggest_near_ones() -> None:
    error = unknown_name("dataset", "flihgts", iter(["flights", "weather"]))
    assert "there is no dataset 'flihgts'" in error.what
    assert "flights" in error.why
    assert "1 to 3" in unknown_version("dataset", "flights", 7, 3).why
