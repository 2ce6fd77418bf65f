from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import FixedThresholdClassifier

from interlock.adapters.sklearn.runtime import SklearnRuntime
from interlock.core.errors import Refused
from interlock.core.schema import Column, Signature

X = np.arange(20, dtype=float).reshape(10, 2)
Y = (X[:, 0] > 9).astype(int)
INPUTS = (Column("a", "double"), Column("b", "double"))
LABEL = Column("label", "long")


class Outsider(LinearRegression):
    """A type that nobody vouched for."""


def load(folder: Path, model: Any, outputs: tuple[Column, ...], **settings: Any) -> Any:
    skops.io.dump(model, folder / "model.skops")
    return SklearnRuntime().load(folder, signature=Signature(INPUTS, outputs), settings=settings)


def test_a_matrix_is_given_to_a_model_that_was_fitted_on_one(tmp_path: Path) -> None:
    predictor = load(tmp_path, LinearRegression().fit(X, X.sum(axis=1)), (Column("prediction", "double"),))
    assert predictor.predict([[1.0, 2.0], [2.0, 5.0]], rows=2)["prediction"].tolist() == pytest.approx([3.0, 7.0])


def test_a_classifier_without_probabilities_gives_its_label(tmp_path: Path) -> None:
    predictor = load(tmp_path, RidgeClassifier().fit(X, Y), (LABEL,))
    answers = predictor.predict([[0.0, 18.0], [1.0, 19.0]], rows=2)
    assert {name: values.tolist() for name, values in answers.items()} == {"label": [0, 1]}


def test_a_label_that_is_not_the_likeliest_class_is_asked_of_the_model(tmp_path: Path) -> None:
    careful = FixedThresholdClassifier(LogisticRegression(), threshold=0.999999).fit(X, Y)
    predictor = load(tmp_path, careful, (Column("probability", "double"), LABEL))
    answers = predictor.predict([[11.0], [12.0]], rows=1)
    assert answers["probability"][0] > 0.5
    assert answers["label"].tolist() == [0]


def test_a_missing_whole_number_is_a_gap_in_the_table(tmp_path: Path) -> None:
    import pyarrow as pa
    from sklearn.ensemble import HistGradientBoostingClassifier

    table = pa.table({"a": X[:, 0].tolist(), "n": [None, *range(9)]})
    model = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=1).fit(table, Y)
    skops.io.dump(model, tmp_path / "model.skops")
    signature = Signature((Column("a", "double"), Column("n", "long")), (Column("probability", "double"), LABEL))
    predictor = SklearnRuntime().load(tmp_path, signature=signature, settings={})
    answers = predictor.predict([[0.0, 18.0], [float("nan"), 3]], rows=2)
    assert answers["label"].tolist() == [0, 1]


def test_a_type_that_nobody_vouched_for_is_refused_until_somebody_does(tmp_path: Path) -> None:
    model = Outsider().fit(X, X.sum(axis=1))
    outputs = (Column("prediction", "double"),)
    with pytest.raises(Refused, match="Outsider") as refusal:
        load(tmp_path, model, outputs)
    assert "trusted_types" in refusal.value.fix
    name = f"{Outsider.__module__}.Outsider"
    assert load(tmp_path, model, outputs, trusted_types=[name]).predict([[1.0], [1.0]], rows=1)["prediction"][0] == (
        pytest.approx(2.0)
    )


def test_a_pickle_is_not_loaded(tmp_path: Path) -> None:
    import pickle

    from interlock.core.errors import Corrupt

    (tmp_path / "model.skops").write_bytes(pickle.dumps(LinearRegression().fit(X, Y)))
    with pytest.raises(Corrupt):
        SklearnRuntime().load(tmp_path, signature=Signature(INPUTS, (LABEL,)), settings={})
