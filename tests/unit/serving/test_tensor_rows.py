from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from interlock.core.errors import InterlockError
from interlock.core.schema import Column, Signature
from interlock.ports.model_runtime import Predictor, StreamingPredictor
from interlock.serving.requests import question
from interlock.serving.rollout import begin, begin_canary, begin_shadow
from interlock.serving.tensor_rows import MOST_LOGGED_BYTES, MOST_LOGGED_VALUES, output_array, plain, rows_of
from interlock.serving.validation import Tensor
from interlock.testing.open_inference.models import Echo, echo_signature
from tests.serving_examples import FIRST, SECOND, Shelf, fresh_stores, hosted, loaded

SIGNATURE = Signature(
    (Column("x", "double", shape=(-1, 2), datatype="FP32"),),
    (
        Column("y", "double", shape=(-1, 2), datatype="FP32"),
        Column("name", "string", shape=(-1,), datatype="BYTES"),
        Column("total", "double"),
    ),
)
WHOLE = Signature(
    (Column("x", "long", shape=(3,), datatype="INT64"),), (Column("y", "long", shape=(2,), datatype="INT64"),)
)


class Doubling(Predictor):
    """Doubles what it is given, adds a shift, and names and sums each row."""

    def __init__(self, shift: float = 0.0) -> None:
        self._shift = shift

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        (x,) = columns
        assert (x.shape, x.dtype) == ((rows, 2), np.float32)
        y = x * 2.0 + self._shift
        names = np.array([f"row{at}".encode() for at in range(rows)], object)
        return {"total": y.sum(axis=1), "name": names, "y": y.astype(np.float64)}


class Summing(Predictor):
    """Takes a request as a whole."""

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        assert rows == 1
        return {"y": np.array([columns[0].sum(), columns[0].max()])}


def test_what_goes_in_and_comes_out_is_logged_row_by_row() -> None:
    stores = fresh_stores()
    with hosted(stores, Shelf(loaded(signature=SIGNATURE, predictor=Doubling()))) as host:
        engine = host.engine("delay")
        table = engine.routing.check.tensors([Tensor("x", [2, 2], "FP32", [1, 2, 3, 4])])
        answer = engine.predict(question(table, {"prediction_ids": "a,b"}, now_micros=0))
    y = output_array(SIGNATURE.outputs[0], answer.outputs["y"], whole=False)
    assert (y.dtype, y.tolist()) == (np.float32, [[2, 4], [6, 8]])
    names = output_array(SIGNATURE.outputs[1], answer.outputs["name"], whole=False)
    assert (names.dtype, names.tolist()) == (object, [b"row0", b"row1"])
    assert answer.outputs["total"] == [6.0, 14.0]
    (found,) = stores.predictions.find("b")
    assert found.prediction.inputs == ([3.0, 4.0],)
    assert found.prediction.outputs == {"y": [6.0, 8.0], "name": "row1", "total": 14.0}


def test_rows_part_between_versions_and_shadows_hear_all() -> None:
    stores = fresh_stores()
    stores.deployments.route("delay", begin_canary(begin(FIRST), SECOND, share=0.5))
    models = [loaded(ref, signature=SIGNATURE, predictor=Doubling(at)) for at, ref in enumerate((FIRST, SECOND))]
    with hosted(stores, Shelf(*models)) as host:
        engine = host.engine("delay")
        data = list(range(40))
        table = engine.routing.check.tensors([Tensor("x", [20, 2], "FP32", data)])
        answer = engine.predict(question(table, {}, now_micros=0))
        shifts = [0.0 if model == FIRST else 1.0 for model in answer.models]
        assert {0.0, 1.0} == set(shifts)
        wanted = np.arange(40).reshape(20, 2) * 2 + np.array(shifts)[:, None]
        assert output_array(SIGNATURE.outputs[0], answer.outputs["y"], whole=False).tolist() == wanted.tolist()
        stores.deployments.route("delay", begin_shadow(begin(FIRST), SECOND))
        host.refresh()
        engine.predict(question(table, {}, now_micros=0))
        engine.drain()
        shadow = engine.routing.shadows[0]
        assert (shadow.statistics.shadow_failures, shadow.statistics.rows) == (0, 20)


def test_requests_for_tensors_are_answered_together_each_with_its_own_rows() -> None:
    stores = fresh_stores()
    with hosted(stores, Shelf(loaded(signature=SIGNATURE, predictor=Doubling()))) as host:
        engine = host.engine("delay")
        asked = []
        for at, rows in enumerate((1, 2)):
            tensor = Tensor("x", [rows, 2], "FP32", [float(at)] * (2 * rows))
            ids = ",".join(f"{at}-{row}" for row in range(rows))
            asked.append(question(engine.routing.check.tensors([tensor]), {"prediction_ids": ids}, now_micros=0))
        first, second = engine.predict_together(asked, engine.routing)
    assert not isinstance(first, Exception) and not isinstance(second, Exception)
    assert output_array(SIGNATURE.outputs[0], first.outputs["y"], whole=False).tolist() == [[0, 0]]
    assert output_array(SIGNATURE.outputs[0], second.outputs["y"], whole=False).tolist() == [[2, 2], [2, 2]]
    (found,) = stores.predictions.find("1-1")
    assert found.prediction.outputs["y"] == [2.0, 2.0]


def test_requests_whose_tensors_do_not_go_together_are_answered_one_by_one() -> None:
    echo = echo_signature("INT8")
    with hosted(fresh_stores(), Shelf(loaded(signature=echo, predictor=Echo()))) as host:
        engine = host.engine("delay")
        asked = [
            question(engine.routing.check.tensors([Tensor("INPUT", [1, n], "INT8", [n] * n)]), {}, now_micros=0)
            for n in (1, 2)
        ]
        answers = engine.predict_together(asked, engine.routing)
    assert [len(one.outputs["OUTPUT"][0]) for one in answers if not isinstance(one, Exception)] == [1, 2]


class Repeating(Doubling, StreamingPredictor):
    """Gives its row as often as its first number says."""

    def stream(self, columns: Sequence[Any], *, rows: int) -> Iterator[dict[str, Any]]:
        for _ in range(int(columns[0][0, 0])):
            yield {"y": columns[0][0], "name": b"again", "total": 1.0}


def test_a_row_of_tensors_may_be_answered_part_by_part() -> None:
    stores = fresh_stores()
    with hosted(stores, Shelf(loaded(signature=SIGNATURE, predictor=Repeating()))) as host:
        engine = host.engine("delay")
        table = engine.routing.check.tensors([Tensor("x", [1, 2], "FP32", [2, 0.5])])
        parts = list(engine.stream(question(table, {"prediction_ids": "a"}, now_micros=0)))
    assert [part["y"].tolist() for part in parts] == [[2.0, 0.5]] * 2
    (found,) = stores.predictions.find("a")
    assert found.prediction.inputs == ([2.0, 0.5],)


def test_a_request_that_is_one_row_stays_whole() -> None:
    stores = fresh_stores()
    with hosted(stores, Shelf(loaded(signature=WHOLE, predictor=Summing()))) as host:
        engine = host.engine("delay")
        table = engine.routing.check.tensors([Tensor("x", [3], "INT64", [1, 2, 5])])
        answer = engine.predict(question(table, {"prediction_ids": "a"}, now_micros=0))
    assert output_array(WHOLE.outputs[0], answer.outputs["y"], whole=True).tolist() == [8, 5]
    (found,) = stores.predictions.find("a")
    assert (found.prediction.inputs, found.prediction.outputs) == (([1, 2, 5],), {"y": [8, 5]})


def test_a_model_that_gives_another_number_of_rows_is_at_fault() -> None:
    outputs = {"y": np.zeros((3, 2)), "name": np.array(["a"] * 2, object), "total": np.zeros(2)}
    with pytest.raises(InterlockError, match="3 rows of 'y'"):
        rows_of(SIGNATURE, [np.zeros((2, 2))], outputs, rows=2)


def test_plain_lists_become_arrays_too() -> None:
    assert output_array(Column("y", "long", shape=(-1, 2), datatype="INT8"), [[1, 2]], whole=False).dtype == np.int8
    text = output_array(Column("y", "string", shape=(-1, 2), datatype="BYTES"), [["a", "b"]], whole=False)
    assert (text.shape, text.dtype) == ((1, 2), object)


class TestPlain:
    def test_small_parts_are_kept_as_they_are(self) -> None:
        assert plain(np.array([[1, 2]], np.uint8)) == [[1, 2]]
        assert plain(np.float32(1.5)) == 1.5
        assert plain(np.array([["a", b"b"]], object)) == [["a", "b"]]
        assert (plain("a"), plain(b"a"), plain(7)) == ("a", "a", 7)

    def test_what_json_has_no_word_for_is_not_kept(self) -> None:
        assert plain(np.array([np.nan, np.inf, 1.0], np.float16)) == [None, None, 1.0]
        kept = plain(np.array([b"\xff"], object))[0]
        assert (kept["bytes"], kept["digest"][:3]) == (1, "b3:")

    def test_large_parts_are_kept_as_shape_and_digest(self) -> None:
        large = np.zeros((2, MOST_LOGGED_VALUES), np.float32)
        kept = plain(large)
        assert (kept["datatype"], kept["shape"]) == ("FP32", [2, MOST_LOGGED_VALUES])
        assert kept == plain(large.copy())
        large[0, 0] = 1
        assert kept != plain(large)
        text = np.array(["x" * (MOST_LOGGED_BYTES + 1)], object)
        assert plain(text)["datatype"] == "BYTES"
