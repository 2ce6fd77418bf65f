from __future__ import annotations

from typing import Any

import pytest

from interlock.core.errors import InvalidInput
from interlock.core.ids import is_id
from interlock.serving.requests import question
from interlock.serving.validation import Table
from tests.serving_examples import NOW_MICROS

TABLE = Table([[1.0, 2.0]], 2, False)
HOUR = 3_600_000_000


def test_what_is_not_said_is_made_up() -> None:
    asked = question(TABLE, {}, now_micros=NOW_MICROS)
    assert len(asked.ids) == 2
    assert all(is_id(one) for one in asked.ids)
    assert asked.ids[0] < asked.ids[1]
    assert list(asked.event_times) == [NOW_MICROS] * 2
    assert list(asked.contexts) == [{}, {}]
    assert asked.asked_at == NOW_MICROS


@pytest.mark.parametrize("given", [["a", "b"], "a,b"])
def test_ids_come_as_list_or_text(given: Any) -> None:
    assert question(TABLE, {"prediction_ids": given}, now_micros=0).ids == ["a", "b"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-01-01T01:00:00Z", [NOW_MICROS + HOUR] * 2),
        ("2026-01-01T02:00:00+01:00", [NOW_MICROS + HOUR] * 2),
        (["2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"], [NOW_MICROS, NOW_MICROS + HOUR]),
        ("2026-01-01T00:00:00Z,2026-01-01T01:00:00Z", [NOW_MICROS, NOW_MICROS + HOUR]),
    ],
)
def test_event_times(given: Any, expected: list[int]) -> None:
    assert list(question(TABLE, {"event_time": given}, now_micros=0).event_times) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"tail": "N1"}, [{"tail": "N1"}, {"tail": "N1"}]),
        ('{"tail": "N1"}', [{"tail": "N1"}, {"tail": "N1"}]),
        ([{"tail": "N1"}, {}], [{"tail": "N1"}, {}]),
    ],
)
def test_contexts(given: Any, expected: list[dict[str, str]]) -> None:
    assert list(question(TABLE, {"context": given}, now_micros=0).contexts) == expected


@pytest.mark.parametrize(
    ("parameters", "what"),
    [
        ({"prediction_ids": ["a"]}, "'prediction_ids' does not match the rows"),
        ({"prediction_ids": 5}, "'prediction_ids' does not match"),
        ({"prediction_ids": ["a", ""]}, "row 1: the prediction id is not usable"),
        ({"prediction_ids": ["a", 7]}, "row 1"),
        ({"prediction_ids": ["a", "x" * 201]}, "row 1"),
        ({"prediction_ids": ["a\n", "b"]}, "row 0"),
        ({"prediction_ids": ["a", "a"]}, "given twice"),
        ({"event_time": ["2026-01-01T00:00:00Z"]}, "'event_time' does not match the rows"),
        ({"event_time": 1.5}, "'event_time' does not match the rows"),
        ({"event_time": "yesterday"}, "an event time cannot be read"),
        ({"event_time": "2026-01-01T00:00:00"}, "an event time cannot be read"),
        ({"event_time": [1, 2]}, "an event time cannot be read"),
        ({"context": "{"}, "the context cannot be read"),
        ({"context": {"n": 1}}, "the context cannot be read"),
        ({"context": 5}, "the context cannot be read"),
        ({"context": [{}]}, "'context' does not match the rows"),
    ],
)
def test_what_is_malformed_is_refused(parameters: dict[str, Any], what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        question(TABLE, parameters, now_micros=0)


def test_a_trial_is_told_from_traffic() -> None:
    assert question(TABLE, {"trial": True}, now_micros=0).is_trial
    assert not any(question(TABLE, said, now_micros=0).is_trial for said in ({}, {"trial": "yes"}, {"trial": 1}))
