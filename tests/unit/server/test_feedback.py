from __future__ import annotations

import json
from typing import Any

import pytest

from interlock.core.errors import InvalidInput, LimitExceeded
from interlock.ports.prediction_log import Feedback, FeedbackReceipt
from interlock.server.feedback import read_truths, write_receipt
from interlock.serving.validation import MAX_ROWS
from tests.serving_examples import NOW_MICROS

TRUTH = {"prediction_id": "a", "truth": 1, "known_at": "2026-01-01T00:00:00Z", "source": "tower"}


@pytest.mark.parametrize("body", [[TRUTH], {"feedback": [TRUTH]}])
def test_a_list_and_an_object_with_one_are_the_same(body: Any) -> None:
    assert read_truths(json.dumps(body).encode(), now_micros=0) == [Feedback("a", 1, NOW_MICROS, "tower")]


@pytest.mark.parametrize("truth", [True, 1, 0.5, "late", None])
def test_truths_of_every_plain_kind(truth: Any) -> None:
    (found,) = read_truths(json.dumps([{"prediction_id": "a", "truth": truth}]).encode(), now_micros=7)
    assert found == Feedback("a", truth, 7, "")


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "cannot be read"),
        (b"[{]", "cannot be read"),
        (b'[{"truth": 1}]', "cannot be read"),
        (b'[{"prediction_id": "a"}]', "cannot be read"),
        (b'[{"prediction_id": "a", "truth": [1]}]', "cannot be read"),
        (b'[{"prediction_id": "a", "truth": 1, "knownAt": 1}]', "cannot be read"),
        (b"[]", "empty"),
        (b'{"feedback": []}', "empty"),
        (b'[{"prediction_id": "a", "truth": 1, "known_at": "2026-01-01T00:00:00"}]', "no time zone"),
    ],
)
def test_what_does_not_fit_is_refused(body: bytes, what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        read_truths(body, now_micros=0)


def test_too_many_truths_are_refused() -> None:
    body = json.dumps([{"prediction_id": "a", "truth": 1}] * (MAX_ROWS + 1)).encode()
    with pytest.raises(LimitExceeded):
        read_truths(body, now_micros=0)


def test_a_receipt_names_the_unknown() -> None:
    assert write_receipt(FeedbackReceipt(2, 1, ("x",))) == {"accepted": 2, "duplicates": 1, "unknown": ["x"]}
