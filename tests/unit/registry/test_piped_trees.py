"""Trees behind scalers, imputers and encoders are compiled so that they answer alike on their very thresholds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnx
import pandas as pd
import pytest
import threadpoolctl
import xgboost
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from interlock.adapters.onnx.runtime import OnnxRuntime
from interlock.adapters.sklearn.runtime import SklearnRuntime
from interlock.registry.converting import onnx_forms
from interlock.registry.flavors.listed import kind_of
from interlock.registry.kinds import Form, Options
from interlock.registry.packaging import write_folder
from interlock.registry.piped_trees import ends_in_trees, piped_tree_graph
from interlock.registry.verifying import verify

RUNTIMES = {runtime.engine: runtime for runtime in (OnnxRuntime(), SklearnRuntime())}
NAMES = ("a", "b", "c", "d")
ROWS = 260

CLASSIFIERS = [
    DecisionTreeClassifier(random_state=0),
    ExtraTreeClassifier(random_state=0),
    RandomForestClassifier(8, random_state=0),
    ExtraTreesClassifier(8, random_state=0),
    GradientBoostingClassifier(n_estimators=8),
    HistGradientBoostingClassifier(max_iter=8, min_samples_leaf=4),
]
REGRESSORS = [
    DecisionTreeRegressor(random_state=0),
    ExtraTreeRegressor(random_state=0),
    RandomForestRegressor(8, random_state=0),
    ExtraTreesRegressor(8, random_state=0),
    GradientBoostingRegressor(n_estimators=8),
    HistGradientBoostingRegressor(max_iter=8, min_samples_leaf=4),
]
OTHERS = [
    lightgbm.LGBMClassifier(n_estimators=8, min_child_samples=4, n_jobs=1, verbose=-1),
    lightgbm.LGBMRegressor(n_estimators=8, min_child_samples=4, n_jobs=1, verbose=-1),
    xgboost.XGBClassifier(n_estimators=8, n_jobs=1),
    xgboost.XGBRegressor(n_estimators=8, n_jobs=1),
]
BEFORE: list[tuple[Any, ...]] = [
    (StandardScaler(),),
    (MinMaxScaler((-3, 7)), FunctionTransformer()),
    (SimpleImputer(strategy="median"), RobustScaler()),
    (StandardScaler(), MaxAbsScaler(), "passthrough"),
    (),
]


def numbers(seed: int, decimals: int) -> np.ndarray:
    """Return a table as it comes from life: of few decimals, of columns of very different size."""
    dice = np.random.default_rng(seed)
    return (dice.normal(size=(ROWS, len(NAMES))) * [1, 10, 300, 0.3] + [0, 5, 1000, 0]).round(decimals)


def target(table: np.ndarray, kind: int) -> np.ndarray:
    """Return what is to be said: a number (0), or one of so many classes."""
    said = table[:, 0] + np.sin(table[:, 1]) + table[:, 2] / 300
    return said if kind == 0 else np.digitize(said, np.quantile(said, np.arange(1, kind) / kind))


def edges(table: np.ndarray, seed: int) -> np.ndarray:
    """Return rows of the values of a table, of what lies halfway between two, and of the neighbours of all these."""
    dice = np.random.default_rng(seed)
    columns = []
    for column in table.T:
        known = np.unique(column[~np.isnan(column)])
        every = np.concatenate([known, (known[1:] + known[:-1]) / 2])
        every = np.concatenate([every, np.nextafter(every, np.inf), np.nextafter(every, -np.inf)])
        columns.append(dice.choice(np.concatenate([every, every.astype(np.float32).astype(np.float64)]), 600))
    return np.column_stack(columns)


def first_form(model: Any, example: Any) -> tuple[Form, Any]:
    """Return the first compiled form of a model, and its signature."""
    package = kind_of(model).package(model, example, Options(name="test"))
    form = next(onnx_forms(model, package.signature))
    assert isinstance(form, Form), form
    return form, package.signature


def farthest(model: Any, example: Any, rows: Any, folder: Path) -> float:
    """Return by how much the first compiled form of a model differs from it on some rows."""
    form, signature = first_form(model, example)
    folder.mkdir(exist_ok=True)
    write_folder(form.files, folder)
    onnx.checker.check_model(onnx.load(folder / "model.onnx"))
    predictor = OnnxRuntime().load(folder, signature=signature, settings=form.settings)
    columns = rows.T.tolist() if isinstance(rows, np.ndarray) else [rows[name].tolist() for name in rows]
    found = predictor.predict(columns, rows=len(rows))
    if not hasattr(model, "classes_"):
        return float(np.abs(found["prediction"] - model.predict(rows)).max())
    shares = model.predict_proba(rows)
    names = [column.name for column in signature.outputs if column.name.startswith("probability")]
    assert (found["label"] == model.predict(rows)).all()
    return float(np.abs(np.column_stack([found[name] for name in names]) - shares[:, -len(names) :]).max())


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Let small trees be grown by one thread: several wait for each other longer than they work."""
    with threadpoolctl.threadpool_limits(1, user_api="openmp"):
        yield


@pytest.fixture
def no_converter(monkeypatch: pytest.MonkeyPatch) -> None:
    def converter(*_: Any, **__: Any) -> None:
        raise AssertionError("the converter was asked")

    monkeypatch.setattr("skl2onnx.convert_sklearn", converter)


@pytest.mark.usefixtures("no_converter")
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("final", [*CLASSIFIERS, *REGRESSORS, *OTHERS], ids=lambda final: type(final).__name__)
@pytest.mark.parametrize("seed", range(len(BEFORE)))
def test_trees_behind_scalers_answer_alike_on_their_thresholds(final: Any, seed: int, tmp_path: Path) -> None:
    table = numbers(seed, decimals=seed)
    steps = BEFORE[seed]
    if any(isinstance(step, SimpleImputer) for step in steps):
        table[np.random.default_rng(seed).random(table.shape) < 0.1] = np.nan
    filled = np.nan_to_num(table)
    tolerance = 1e-6 if isinstance(final, xgboost.XGBModel) else 1e-9
    for kind in (2, 3) if hasattr(final, "predict_proba") else (0,):
        if not steps and final in OTHERS:
            continue
        model = make_pipeline(*steps, clone(final)).fit(table, target(filled, kind))
        for rows in (table, edges(table, seed)):
            assert farthest(model, table, rows, tmp_path / str(kind)) < tolerance * max(1, np.abs(filled).max() / 1e3)


@pytest.mark.usefixtures("no_converter")
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("final", [*CLASSIFIERS, *REGRESSORS, *OTHERS], ids=lambda final: type(final).__name__)
def test_trees_behind_columns_answer_alike_on_their_thresholds(final: Any, tmp_path: Path) -> None:
    dice = np.random.default_rng(3)
    frame = pd.DataFrame(numbers(3, decimals=2), columns=list(NAMES))
    frame["city"], frame["gate"] = dice.choice(["JFK", "EWR", "LGA"], ROWS), dice.choice(["G1", "G2"], ROWS)
    said = target(frame[list(NAMES)].to_numpy() + (frame[["city"]] == "JFK").to_numpy(), 2)
    frame.loc[::7, "a"] = np.nan
    columns = ColumnTransformer(
        [
            ("hot", OneHotEncoder(handle_unknown="ignore"), ["city"]),
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["c", "a"]),
            ("codes", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["gate", "city"]),
            ("as it is", "passthrough", ["b"]),
        ],
        sparse_threshold=0,
    )
    model = make_pipeline(columns, MinMaxScaler(), clone(final)).fit(frame, said)
    rows = pd.DataFrame(edges(frame[list(NAMES)].to_numpy(), 3), columns=list(NAMES))
    rows["city"], rows["gate"] = (
        dice.choice(["JFK", "EWR", "LGA", "??"], len(rows)),
        dice.choice(["G1", "-"], len(rows)),
    )
    rows.loc[::5, "a"] = np.nan
    tolerance = 1e-6 if isinstance(final, xgboost.XGBModel) else 1e-9
    assert farthest(model, frame, frame, tmp_path) < tolerance
    assert farthest(model, frame, rows, tmp_path) < tolerance


@pytest.mark.parametrize(
    "final", [GradientBoostingClassifier(n_estimators=20), RandomForestClassifier(20, random_state=0)]
)
def test_a_form_that_rounds_otherwise_is_refused(final: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    table = numbers(4, decimals=4)
    model = make_pipeline(StandardScaler(), final).fit(table, target(table, 2))
    package = kind_of(model).package(model, table[:100], Options(name="test"))
    exact = verify(package, RUNTIMES).facts
    assert exact["max_difference"] < 1e-12
    assert "not_compiled" not in exact
    monkeypatch.setattr("interlock.registry.converting.ends_in_trees", lambda _: False)
    verified = verify(package, RUNTIMES)
    assert verified.engine == "sklearn"
    assert "ONNX (float32): differs by" in verified.facts["not_compiled"]


def test_steps_that_mix_columns_are_not_written_here_and_kept_only_where_exact() -> None:
    table = numbers(4, decimals=4)
    model = make_pipeline(PCA(3), RandomForestClassifier(20, random_state=0)).fit(table, target(table, 2))
    package = kind_of(model).package(model, table, Options(name="test"))
    assert piped_tree_graph([step for _, step in model.steps], package.signature) is None
    facts = verify(package, RUNTIMES).facts
    assert facts["max_difference"] < 1e-6


def test_whole_numbers_are_asked_as_whole_numbers() -> None:
    dice = np.random.default_rng(0)
    frame = pd.DataFrame({"age": dice.integers(18, 90, ROWS), "rooms": dice.integers(1, 9, ROWS)})
    model = make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=10))
    model.fit(frame, (frame["age"] * frame["rooms"] > 200).astype(int))
    verified = verify(kind_of(model).package(model, frame, Options(name="test")), RUNTIMES)
    assert verified.engine == "onnx"
    assert verified.facts["max_difference"] < 1e-12


def test_votes_that_are_even_give_the_same_label(tmp_path: Path) -> None:
    table = numbers(1, decimals=1)
    said = np.random.default_rng(1).integers(0, 2, ROWS)
    model = make_pipeline(StandardScaler(), RandomForestClassifier(10, random_state=0)).fit(table, said)
    rows = numbers(2, decimals=1)
    assert (model.predict_proba(rows)[:, 1] == 0.5).sum() > 5
    assert farthest(model, table, rows, tmp_path) == 0


@pytest.mark.parametrize(
    "final",
    [
        GradientBoostingRegressor(n_estimators=3, init="zero"),
        GradientBoostingClassifier(n_estimators=3, loss="exponential"),
        DecisionTreeRegressor(min_samples_leaf=ROWS),
        RandomForestClassifier(3, min_samples_leaf=ROWS, random_state=0),
    ],
    ids=["from-nothing", "exponential", "one-leaf", "leaves"],
)
def test_odd_ensembles_answer_alike_too(final: Any, tmp_path: Path) -> None:
    table = numbers(1, decimals=1)
    model = make_pipeline(StandardScaler(), final).fit(table, target(table, 2))
    assert farthest(model, table, edges(table, 1), tmp_path) < 1e-12


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (make_pipeline(MinMaxScaler(clip=True), DecisionTreeClassifier()), "it clips"),
        (make_pipeline(StandardScaler(), GradientBoostingClassifier(init=LogisticRegression())), "it begins with"),
        (make_pipeline(StandardScaler(), HistGradientBoostingClassifier(categorical_features=[0])), "categor"),
    ],
)
def test_what_cannot_be_written_says_why(model: Any, why: str) -> None:
    table = np.abs(numbers(0, decimals=0)) % 7
    model.fit(table, table[:, 0] > 2)
    package = kind_of(model).package(model, table, Options(name="test"))
    with pytest.raises(ValueError, match=why):
        piped_tree_graph([step for _, step in model.steps], package.signature)


def test_two_targets_are_left_to_the_converter() -> None:
    table = numbers(0, decimals=1)
    model = make_pipeline(StandardScaler(), RandomForestRegressor(3, random_state=0)).fit(table, table[:, :2])
    first = next(onnx_forms(model, kind_of(model).package(model, table, Options(name="test")).signature))
    assert first == "no graph of ours: it has several targets"


def test_a_sparse_table_means_something_else_to_xgboost() -> None:
    frame = pd.DataFrame({"city": ["JFK", "EWR", "LGA", "BOS", "SFO"] * 20})
    model = make_pipeline(OneHotEncoder(), xgboost.XGBRegressor(n_estimators=3, n_jobs=1))
    model.fit(frame, np.arange(100.0) % 5)
    signature = kind_of(model).package(model, frame, Options(name="test")).signature
    assert piped_tree_graph([step for _, step in model.steps], signature) is None


def test_what_ends_in_trees() -> None:
    assert ends_in_trees([StandardScaler(), DecisionTreeClassifier()])
    assert ends_in_trees([StandardScaler(), xgboost.XGBRegressor()])
    assert not ends_in_trees([xgboost.XGBRegressor()])
    assert not ends_in_trees([StandardScaler(), LogisticRegression()])
