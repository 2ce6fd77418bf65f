"""What people write without naming a workspace uses that of the folder or the environment."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import interlock
from interlock import here
from interlock.core.errors import NotFound


@pytest.fixture
def uri(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("INTERLOCK_URI", "memory:here")
    here._shared.cache_clear()
    yield "memory:here"
    here._shared("memory:here").close()
    here._shared.cache_clear()


def test_a_model_is_deployed_and_found_again(uri: str) -> None:
    from sklearn.linear_model import LinearRegression

    rows = np.random.default_rng(1).normal(size=(50, 2))
    model = LinearRegression().fit(rows, rows[:, 0] * 2)
    endpoint = interlock.deploy(model, example=rows[:20], name="twice")
    assert isinstance(endpoint, interlock.Endpoint)
    answers = interlock.endpoint("twice").predict(rows[:3])
    assert np.allclose(answers["prediction"], rows[:3, 0] * 2)
    with pytest.raises(NotFound, match="thrice"):
        interlock.endpoint("thrice")
