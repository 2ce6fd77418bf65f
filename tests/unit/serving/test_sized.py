from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interlock.core.errors import MissingExtra
from interlock.ports.model_runtime import Predictor
from interlock.serving.sized import SizedPredictor


class Named(Predictor):
    """Answers with its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        return {"who": np.array([self.name] * rows)}


def who(predictor: Predictor, rows: int) -> str:
    answer: str = predictor.predict([[0.0] * rows], rows=rows)["who"][0]
    return answer


def test_few_rows_never_load_the_other_engine() -> None:
    loaded: list[str] = []
    predictor = SizedPredictor(Named("few"), lambda: loaded.append("many") or Named("many"), from_rows=8)  # type: ignore[func-returns-value]
    assert [who(predictor, rows) for rows in (1, 7)] == ["few", "few"]
    assert loaded == []


def test_many_rows_are_answered_by_the_first_until_the_other_is_there() -> None:
    may_load = threading.Event()

    def load() -> Predictor:
        assert may_load.wait(10)
        return Named("many")

    predictor = SizedPredictor(Named("few"), load, from_rows=8)
    assert who(predictor, 8) == "few"
    may_load.set()
    predictor.settle()
    assert [who(predictor, rows) for rows in (7, 8, 512)] == ["few", "many", "many"]


def test_the_other_engine_is_loaded_once() -> None:
    loads: list[int] = []

    def load() -> Predictor:
        loads.append(1)
        return Named("many")

    predictor = SizedPredictor(Named("few"), load, from_rows=2)
    threads = [threading.Thread(target=who, args=(predictor, 4)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    predictor.settle()
    assert loads == [1]


def test_where_the_other_cannot_be_loaded_the_first_stays(caplog: pytest.LogCaptureFixture) -> None:
    def load() -> Predictor:
        raise MissingExtra("serving needs xgboost")

    predictor = SizedPredictor(Named("few"), load, from_rows=2)
    predictor.settle()
    assert who(predictor, 100) == "few"
    assert "xgboost" in caplog.text


def test_the_loader_reads_it_from_the_version(tmp_path: Path) -> None:
    from interlock.serving.loading import ModelLoader
    from tests.unit.serving.test_loading import Recording, version

    class Other(Recording):
        engine = "sklearn"

    few, other = Recording(), Other()
    many = {"engine": "sklearn", "from_rows": 32, "settings": {"frame": "arrow"}}
    model = ModelLoader(lambda ref: version(many=many), lambda version: tmp_path, [few, other])("model:delay@7")
    assert isinstance(model.predictor, SizedPredictor)
    assert other.calls == []
    model.predictor.settle()
    assert other.calls == [(tmp_path, {"frame": "arrow"})]


def test_an_engine_for_many_that_is_not_at_hand_is_done_without(tmp_path: Path) -> None:
    from interlock.serving.loading import ModelLoader
    from tests.unit.serving.test_loading import Recording, version

    many = {"engine": "sklearn", "from_rows": 32, "settings": {}}
    model = ModelLoader(lambda ref: version(many=many), lambda version: tmp_path, [Recording()])("model:delay@7")
    assert not isinstance(model.predictor, SizedPredictor)
