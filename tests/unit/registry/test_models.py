from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor, IsolationForest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from interlock.adapters.onnx.runtime import OnnxRuntime
from interlock.core.errors import Corrupt, InvalidInput, MissingExtra, NotFound, Refused
from interlock.ports.journal import Edge
from interlock.ports.stores import Stores
from interlock.registry.models import Models
from tests.fitted import flight_delay, flights, late, uncompilable

X = np.random.default_rng(0).normal(size=(200, 3))
Y = (X[:, 0] > 0.3).astype(int)


class Doubler(LinearRegression):
    """A user's own estimator; skops can write it, and a reader must be told to trust it."""


class Forgetful(LinearRegression):
    """Loses what it learnt when it is written."""

    def __getstate__(self) -> Any:
        return {**super().__getstate__(), "coef_": self.coef_ * 0}


def test_a_version_knows_everything_about_itself(models: Models) -> None:
    version = models.register(
        "delay",
        flight_delay(),
        example=flights(),
        run="run:01RUN",
        inputs=["dataset:flights@3"],
        metrics={"auc": np.float64(0.7)},
        tags={"team": "ops"},
    )
    assert (version.ref, version.flavor, version.engine, version.run) == ("model:delay@1", "sklearn", "onnx", "01RUN")
    assert version.metrics == {"auc": 0.7}
    assert type(version.metrics["auc"]) is float
    assert version.tags == {"team": "ops"}
    assert [column.name for column in version.signature.inputs] == ["wind", "delay", "distance", "carrier", "origin"]
    assert [column.name for column in version.signature.outputs] == ["probability", "label"]
    assert all(column.nullable for column in version.signature.inputs)
    assert version.facts["precision"] == "float64"
    assert version.facts["max_difference"] < 1e-12
    native, compiled = version.facts["engines"]
    assert (native["engine"], compiled["engine"]) == ("sklearn", "onnx")
    assert version.facts["one_row_us"] == compiled["one_row_us"] < native["one_row_us"]
    assert version.facts["rows_compared"] > 400
    assert [file.path for file in version.files] == [
        "MLmodel",
        "input_example.json",
        "model.onnx",
        "model.skops",
        "packed.onnx",
        "python_env.yaml",
        "requirements.txt",
    ]


def test_lineage_leads_to_the_version(models: Models, stores: Stores) -> None:
    version = models.register("delay", flight_delay(), example=flights(), run="01RUN", inputs=["dataset:flights@3"])
    assert set(stores.journal.walk(version.ref, direction="back")) >= {
        Edge("dataset:flights@3", version.ref, "trained_on"),
        Edge("run:01RUN", version.ref, "produced"),
    }


def test_the_package_on_disk_answers_as_the_model(models: Models) -> None:
    version = models.register("delay", flight_delay(), example=flights())
    folder = models.package_folder(version)
    predictor = OnnxRuntime().load(folder, signature=version.signature, settings=version.facts)
    rows = flights().slice(0, 5)
    columns = [
        [float("nan") if value is None else value for value in rows.column(name).to_pylist()]
        for name in version.signature.input_names
    ]
    found = predictor.predict(columns, rows=5)["probability"]
    assert found.tolist() == pytest.approx(flight_delay().predict_proba(rows)[:, 1].tolist(), abs=1e-9)
    assert yaml.safe_load((folder / "MLmodel").read_text())["flavors"]["onnx"]["data"] == "model.onnx"


def test_card_and_example_are_kept(models: Models) -> None:
    version = models.register("delay", flight_delay(), example=flights(), card_facts={"Owner": "ada"})
    assert "- Owner: ada" in models.card(version)
    example = models.example(version)
    assert list(example) == list(version.signature.input_names)
    assert len(example["wind"]) == 200
    assert None in example["delay"]


def test_a_version_made_elsewhere_has_neither(models: Models) -> None:
    version = msgspec.structs.replace(
        models.register("delay", LogisticRegression().fit(X, Y), example=X), card=None, example=None
    )
    with pytest.raises(NotFound, match="no card"):
        models.card(version)
    with pytest.raises(NotFound, match="no example"):
        models.example(version)


def test_a_column_without_gaps_may_be_missing_only_where_both_engines_agree(models: Models) -> None:
    # a tree sends an unexpected gap down the larger branch; so does its compiled form, but not the converter's
    version = models.register("tree", DecisionTreeClassifier(max_depth=4, random_state=0).fit(X, Y), example=X)
    assert version.engine == "onnx"
    assert all(column.nullable for column in version.signature.inputs)
    version = models.register("odd", IsolationForest(n_estimators=5, random_state=0).fit(X), example=X)
    assert version.engine == "onnx"
    assert not any(column.nullable for column in version.signature.inputs)


def test_a_model_that_refuses_gaps_is_not_nullable(models: Models) -> None:
    version = models.register("linear", LinearRegression().fit(X, Y), example=X)
    assert not any(column.nullable for column in version.signature.inputs)
    assert version.facts["rows_refused"] == 9


def test_a_model_that_cannot_be_compiled_is_served_by_sklearn(models: Models) -> None:
    version = models.register("delay", uncompilable(), example=flights())
    assert version.engine == "sklearn"
    assert "refused" in version.facts["not_compiled"]
    assert "packed.onnx" not in [file.path for file in version.files]
    assert "Not compiled" in models.card(version)


def test_a_model_that_reads_only_pandas_is_noted_as_such(models: Models) -> None:
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    columns = ColumnTransformer([("scaled", StandardScaler(), ["a"])], remainder="passthrough")
    version = models.register("odd", make_pipeline(columns, LogisticRegression()).fit(frame, Y), example=frame)
    assert version.facts["frame"] == "pandas"


def test_types_of_ones_own_need_a_word_of_trust(models: Models, stores: Stores) -> None:
    model = Doubler().fit(X, X[:, 0])
    with pytest.raises(Refused, match="Doubler"):
        models.register("own", model, example=X)
    assert stores.models.find("own") is None
    version = models.register("own", model, example=X, trusted_types=[f"{Doubler.__module__}.Doubler"])
    assert version.facts["trusted_types"] == [f"{Doubler.__module__}.Doubler"]


def test_a_model_with_code_in_it_is_refused(models: Models, stores: Stores) -> None:
    model = make_pipeline(FunctionTransformer(lambda rows: rows), LogisticRegression()).fit(X, Y)
    with pytest.raises(Refused, match="lambda"):
        models.register("sly", model, example=X)
    assert stores.models.find("sly") is None


def test_a_model_that_cannot_be_written_is_refused(models: Models, stores: Stores) -> None:
    model = LogisticRegression().fit(X, Y)
    model.rows_ = (row for row in X)
    with pytest.raises(InvalidInput, match="without pickle"):
        models.register("locked", model, example=X)
    assert stores.models.find("locked") is None


def test_a_model_that_does_not_survive_packaging_is_refused(models: Models, stores: Stores) -> None:
    model = Forgetful().fit(X, X[:, 0])
    with pytest.raises(Corrupt, match="does not answer as the one in memory"):
        models.register("forgetful", model, example=X, trusted_types=[f"{Forgetful.__module__}.Forgetful"])
    assert stores.models.find("forgetful") is None


def test_a_model_that_answers_nan_is_refused(models: Models, stores: Stores) -> None:
    model = LinearRegression().fit(X, Y)
    model.coef_ = model.coef_ * np.nan
    with pytest.raises(InvalidInput, match="gives no number as 'prediction' for row 0"):
        models.register("void", model, example=X)
    assert stores.models.find("void") is None


def test_what_is_no_model_is_refused_with_what_is(models: Models, stores: Stores) -> None:
    with pytest.raises(InvalidInput, match="a list is not a model") as refusal:
        models.register("list", [1, 2], example=X)
    assert "a fitted scikit-learn estimator" in refusal.value.why
    assert stores.models.find("list") is None


def test_no_example_is_refused(models: Models) -> None:
    with pytest.raises(InvalidInput, match="no example"):
        models.register("delay", LogisticRegression().fit(X, Y))


def test_infinite_numbers_are_asked_where_the_model_takes_them(models: Models) -> None:
    version = models.register("trees", HistGradientBoostingRegressor(max_iter=3).fit(X, X[:, 0]), example=X)
    assert version.facts["rows_refused"] == 0
    assert version.engine == "onnx"


def test_a_bad_name_is_refused_before_any_work(models: Models) -> None:
    with pytest.raises(InvalidInput, match="cannot name a model"):
        models.register("../delay", object(), example=None)


def test_a_bad_input_ref_leaves_nothing_registered(models: Models, stores: Stores) -> None:
    with pytest.raises(InvalidInput, match="not a Ref"):
        models.register("delay", LogisticRegression().fit(X, Y), example=X, inputs=["flights"])
    assert stores.models.find("delay") is None


def test_a_missing_library_is_named(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "skl2onnx" else found(name))
    with pytest.raises(MissingExtra, match="skl2onnx") as error:
        models.register("delay", LogisticRegression().fit(X, Y), example=X)
    assert error.value.fix == "pip install 'interlock[sklearn]'"


def test_resolving_by_number_alias_and_newest(models: Models, stores: Stores) -> None:
    for _ in range(2):
        models.register("delay", LogisticRegression().fit(X, Y), example=X)
    stores.models.set_alias("delay", "champion", version=1)
    assert models.resolve("model:delay@champion").version == 1
    assert models.resolve("delay@2").version == 2
    assert models.resolve("delay").version == 2


@pytest.mark.parametrize(
    ("ref", "what", "why"),
    [
        ("model:dely", "no model 'dely'", "'delay'"),
        ("model:delay@champoin", "no alias 'champoin'", "'champion'"),
        ("model:delay@9", "no version 9", "1 to 1"),
    ],
)
def test_what_cannot_be_resolved_is_named_with_the_nearest(
    models: Models, stores: Stores, ref: str, what: str, why: str
) -> None:
    models.register("delay", LogisticRegression().fit(X, Y), example=X)
    stores.models.set_alias("delay", "champion", version=1)
    with pytest.raises(NotFound, match=what) as error:
        models.resolve(ref)
    assert why in error.value.why


def test_a_regressor_and_a_frame_with_few_rows(models: Models) -> None:
    frame = pd.DataFrame(X[:2], columns=["a", "b", "c"])
    model = LinearRegression().fit(pd.DataFrame(X, columns=["a", "b", "c"]), X[:, 1])
    version = models.register("regression", model, example=frame)
    assert [column.name for column in version.signature.outputs] == ["prediction"]
    assert version.engine == "onnx"


def test_the_registry_is_imported_without_any_heavy_library() -> None:
    code = "import sys, interlock.registry.models; print(*sorted({n.partition('.')[0] for n in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"sklearn", "skl2onnx", "onnx", "skops", "pandas", "scipy", "pyarrow", "duckdb", "onnxruntime"}
    assert not heavy & set(loaded)


def test_the_target_of_the_example_is_learnable() -> None:
    assert 0.2 < late(flights()).mean() < 0.8


def test_files_are_content_addressed(models: Models, stores: Stores, tmp_path: Path) -> None:
    version = models.register("delay", LogisticRegression().fit(X, Y), example=X)
    for file in version.files:
        assert len(stores.artifacts.get(file.digest)) == file.size_bytes
