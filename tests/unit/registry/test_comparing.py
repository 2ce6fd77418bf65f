from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from interlock.registry.comparing import largest_difference

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("expected", "found", "difference"),
    [
        ({"probability": [0.5, 0.25]}, {"probability": [0.5, 0.5]}, 0.25),
        ({"prediction": [1000.0]}, {"prediction": [1001.0]}, 0.001),
        ({"prediction": [1.0]}, {"prediction": [NAN]}, INF),
        ({"prediction": [NAN, 1.0]}, {"prediction": [NAN, 1.5]}, 0.5),
        ({"prediction": [INF, -INF]}, {"prediction": [INF, INF]}, INF),
        ({"prediction": ["a"]}, {"prediction": ["a"]}, 0.0),
        ({"prediction": ["a"]}, {"prediction": ["b"]}, INF),
        ({"prediction": [1.0]}, {"prediction": [1.0, 2.0]}, INF),
        ({"prediction": [1.0]}, {}, INF),
        ({"prediction_0": np.ones((2, 3))}, {"prediction_0": np.full((2, 3), 1.25)}, 0.25),
        ({"probability": [0.9], "label": [1]}, {"probability": [0.9], "label": [0]}, float("inf")),
        ({"probability": [0.500001], "label": [1]}, {"probability": [0.500001], "label": [0]}, 0.0),
        ({"label": ["a"]}, {"label": ["b"]}, float("inf")),
        ({"label": ["a"]}, {"label": ["a"]}, 0.0),
        (
            {"probability_a": [0.4], "probability_b": [0.4], "probability_c": [0.2], "label": ["a"]},
            {"probability_a": [0.4], "probability_b": [0.4], "probability_c": [0.2], "label": ["b"]},
            0.0,
        ),
    ],
)
def test_differences(expected: Mapping[str, list[Any]], found: Mapping[str, list[Any]], difference: float) -> None:
    assert largest_difference(expected, found) == pytest.approx(difference)
