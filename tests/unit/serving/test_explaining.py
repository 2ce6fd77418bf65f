from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interlock.core.errors import Corrupt, InvalidInput, LimitExceeded, MissingExtra
from interlock.core.schema import Column, Signature
from interlock.ports.explanation import ExplainingPredictor, Explanation
from interlock.ports.model_runtime import ModelRuntime, Predictor
from interlock.ports.model_store import ModelVersion
from interlock.serving import explaining
from interlock.serving.explaining import ModelExplainer, VersionExplainer, problem_of, sample
from tests.serving_examples import NOW

SIGNATURE = Signature(
    (Column("a", "double"), Column("b", "double"), Column("city", "string")), (Column("price", "double"),)
)
BACKGROUND: list[list[Any]] = [[0.0, 1.0, 2.0, 3.0], [1.0, -1.0, 0.5, None], ["JFK", "EWR", "JFK", None]]
ROWS: list[list[Any]] = [[2.0, 5.0], [3.0, -2.0], ["EWR", None]]


class Mixing(Predictor):
    """Answers `a * b + a`, and 10 more in EWR."""

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        a, b = (np.nan_to_num(np.asarray(column, float)) for column in columns[:2])
        bonus = np.array([10.0 if city == "EWR" else 0.0 for city in columns[2]])
        assert len(a) == rows
        return {"price": a * b + a + bonus}


class Knowing(Mixing, ExplainingPredictor):
    """Knows contributions, which are as wrong as they are told to be; or none."""

    def __init__(self, *, off_by: float = 0.0, knows: bool = True) -> None:
        self.off_by = off_by
        self.knows = knows

    def explain(
        self, columns: Sequence[Any], *, rows: int, background: Sequence[Any], background_rows: int
    ) -> Explanation | None:
        if not self.knows:
            return None
        values = self.predict(columns, rows=rows)["price"][:, None]
        found = np.zeros((rows, 1, 3))
        found[:, :, 0] = values - 1.0 + self.off_by
        return Explanation(("price",), "value", "by hand", [1.0], values, found)


def explainer(exact: Predictor | None = None) -> VersionExplainer:
    return VersionExplainer("model:m@1", SIGNATURE, exact=exact, served=Mixing, background=BACKGROUND)


def by_definition(row: Sequence[Any]) -> list[float]:
    """Return the Shapley values of a row against the background, by trying every set of columns."""
    held = [[math.nan if value is None else value for value in values] for values in BACKGROUND[:2]] + [BACKGROUND[2]]

    def said(known: frozenset[int]) -> float:
        columns = [[row[place]] * 4 if place in known else held[place] for place in range(3)]
        return float(Mixing().predict(columns, rows=4)["price"].mean())

    found = []
    for place in range(3):
        others = [one for one in range(3) if one != place]
        found.append(
            sum(
                math.factorial(size)
                * math.factorial(2 - size)
                / 6
                * (said(frozenset(known) | {place}) - said(frozenset(known)))
                for size in range(3)
                for known in itertools.combinations(others, size)
            )
        )
    return found


def test_exact_contributions_are_checked_and_given() -> None:
    found = explainer(Knowing()).explain(ROWS, rows=2)
    assert found is not None
    [[first], [_]] = found.explanations
    assert (first.output, first.base, first.value) == ("price", 1.0, 18.0)
    assert first.contributions == {"a": 17.0, "b": 0.0, "city": 0.0}
    assert first.standard_errors is None
    assert found.largest_gap < 1e-9


@pytest.mark.parametrize("off_by", [0.01, -3.0, 1e11, math.nan, math.inf])
def test_contributions_that_do_not_add_up_are_never_given(off_by: float) -> None:
    with pytest.raises(Corrupt, match="do not add up"):
        explainer(Knowing(off_by=off_by)).explain(ROWS, rows=2)


def test_sampled_contributions_are_near_the_truth_and_say_how_near() -> None:
    found = explainer().explain(ROWS, rows=2, permutations=600)
    assert found is not None
    assert "600 pairs" in found.method
    for number, [part] in enumerate(found.explanations):
        expected = by_definition([column[number] for column in ROWS])
        assert part.standard_errors is not None
        for value, error, truth in zip(
            part.contributions.values(), part.standard_errors.values(), expected, strict=True
        ):
            assert abs(value - truth) <= 5 * error + 0.02
        assert part.base + sum(part.contributions.values()) == pytest.approx(part.value)
    again = explainer().explain(ROWS, rows=2, permutations=600)
    assert again == found


def test_the_standard_error_shrinks_with_more_permutations() -> None:
    few, many = (explainer().explain(ROWS, rows=2, permutations=count) for count in (8, 800))
    assert few is not None
    assert many is not None
    sizes = [sum((one.explanations[0][0].standard_errors or {}).values()) for one in (few, many)]
    assert sizes[1] < sizes[0] / 3


def test_long_paths_go_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sample(Mixing(), SIGNATURE, ROWS, explainer()._background, rows=2, permutations=5)
    monkeypatch.setattr(explaining, "_ROWS_AT_ONCE", 9)
    parts = sample(Mixing(), SIGNATURE, ROWS, explainer()._background, rows=2, permutations=5)
    np.testing.assert_allclose(parts.contributions, whole.contributions)
    assert np.isinf(sample(Mixing(), SIGNATURE, ROWS, explainer()._background, rows=2, permutations=1).errors).all()


def test_who_wants_the_exact_way_is_told_that_there_is_none() -> None:
    assert explainer().explain(ROWS, rows=2, mode="exact") is None
    assert explainer(Knowing(knows=False)).explain(ROWS, rows=2, mode="exact") is None
    estimate = explainer(Knowing()).explain(ROWS, rows=2, mode="sampled", permutations=2)
    assert estimate is not None
    assert estimate.explanations[0][0].standard_errors is not None


def test_too_many_rows_are_refused() -> None:
    rows = [[1.0] * 1_001, [1.0] * 1_001, ["x"] * 1_001]
    with pytest.raises(LimitExceeded):
        explainer(Knowing()).explain(rows, rows=1_001)
    with pytest.raises(LimitExceeded):
        explainer().explain([column[:101] for column in rows], rows=101)


def test_answers_without_a_number_cannot_be_sampled() -> None:
    words = Signature(SIGNATURE.inputs, (Column("label", "string"),))
    with pytest.raises(InvalidInput, match="cannot be explained"):
        sample(Mixing(), words, ROWS, BACKGROUND, rows=2)


class Loading(ModelRuntime):
    """Loads what it is given, or raises it."""

    def __init__(self, given: Predictor | Exception) -> None:
        self.given = given

    @property
    def engine(self) -> str:
        return "mine"

    def load(self, folder: Path, *, signature: Signature, settings: Any) -> Predictor:
        if isinstance(self.given, Exception):
            raise self.given
        return self.given


def model_explainer(given: Predictor | Exception, *, flavor: str = "mine", tensors: bool = False) -> ModelExplainer:
    signature = SIGNATURE
    if tensors:
        signature = Signature((Column("t", "double", shape=(-1, 2), datatype="FP64"),), SIGNATURE.outputs)

    def resolve(ref: str) -> ModelVersion:
        number = int(ref.rpartition("@")[2])
        return ModelVersion(
            model="m",
            version=number,
            created_at=NOW,
            files=(),
            signature=signature,
            flavor=flavor,
            engine="other",
        )

    return ModelExplainer(
        resolve,
        lambda version: Path(),
        [Loading(given)],
        load=lambda ref: Mixing(),
        example_of=lambda version: dict(zip(SIGNATURE.input_names, BACKGROUND, strict=True)),
    )


def test_the_model_itself_is_asked_whatever_serves() -> None:
    explain = model_explainer(Knowing())
    found = explain("model:m@1").explain(ROWS, rows=2, mode="exact")
    assert found is not None
    assert found.model == "model:m@1"
    assert explain("model:m@1") is explain("model:m@1")
    first = explain("model:m@1")
    for number in range(2, 11):
        explain(f"model:m@{number}")
    assert explain("model:m@1") is not first


@pytest.mark.parametrize("given", [MissingExtra("no"), Corrupt("no"), Mixing()])
def test_what_cannot_be_had_is_sampled(given: Predictor | Exception) -> None:
    one = model_explainer(given)("model:m@1")
    assert one.explain(ROWS, rows=2, mode="exact") is None
    assert one.explain(ROWS, rows=2, permutations=2) is not None
    other = model_explainer(given, flavor="unknown")("model:m@1")
    assert other.explain(ROWS, rows=2, mode="exact") is None


def test_tensors_are_not_explained() -> None:
    with pytest.raises(InvalidInput, match="tensors"):
        model_explainer(Knowing(), tensors=True)("model:m@1")


def test_an_error_as_plain_values() -> None:
    error = InvalidInput("a", why="b", fix="c")
    assert problem_of(error) == {"code": "IL400", "what": "a", "why": "b", "fix": "c"}
