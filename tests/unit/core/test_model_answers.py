"""Answers in every form become columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from interlock.core.errors import InvalidInput
from interlock.core.model_answers import answer_columns, joined


@pytest.mark.parametrize(
    ("answer", "columns"),
    [
        ([1, 2], {"prediction": [1, 2]}),
        ((1.5, None), {"prediction": [1.5, None]}),
        (np.array([1.5, 2.5]), {"prediction": [1.5, 2.5]}),
        (np.array([[1], [2]]), {"prediction": [1, 2]}),
        (np.array([[1, 3], [2, 4]]), {"prediction_0": [1, 2], "prediction_1": [3, 4]}),
        ([[1, 3], [2, 4]], {"prediction_0": [1, 2], "prediction_1": [3, 4]}),
        ([[1], [2]], {"prediction": [1, 2]}),
        ([np.float32(0.5), np.float32(1)], {"prediction": [0.5, 1.0]}),
        ({"p": [1, 2], "q": np.array(["a", "b"])}, {"p": [1, 2], "q": ["a", "b"]}),
        ([{"p": 1}, {"p": 2, "q": "x"}], {"p": [1, 2], "q": [None, "x"]}),
        (pd.DataFrame({"p": [1, 2], 0: [3, 4]}), {"p": [1, 2], "0": [3, 4]}),
        (pd.Series([1, 2]), {"prediction": [1, 2]}),
        (pa.table({"p": [1, 2]}), {"p": [1, 2]}),
        (pa.array([1, 2]), {"prediction": [1, 2]}),
    ],
)
def test_columns(answer: Any, columns: dict[str, Any]) -> None:
    assert answer_columns(answer, rows=2) == columns


def test_arrays_of_more_dimensions_stay_arrays() -> None:
    images = np.zeros((2, 3, 4))
    assert answer_columns(images, rows=2)["prediction"] is images
    assert answer_columns({"image": images}, rows=2)["image"] is images
    wide = np.zeros((2, 2000))
    assert answer_columns(wide, rows=2)["prediction"] is wide


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (None, "answers with a NoneType"),
        (0.5, "answers with a float"),
        ("late", "answers with a str"),
        ([1], "has 1 values for 2 rows"),
        ({"p": [1, 2, 3]}, "'p' has 3 values"),
        ({}, "has no columns"),
        ([[1, 2], [3]], "rows of different lengths"),
        ({f"p{at}": [1, 2] for at in range(1001)}, "has 1001 columns"),
    ],
)
def test_what_is_no_answer_is_told(answer: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        answer_columns(answer, rows=2)


def test_parts_are_joined() -> None:
    assert joined([{"text": "a", "n": 1}, {"n": 2}, {"text": "b"}]) == {"text": "ab", "n": 2}
    assert joined([]) == {}
