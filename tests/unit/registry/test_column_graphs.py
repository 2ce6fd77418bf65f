"""ColumnTransformers that are written without the converter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, PowerTransformer, StandardScaler

from interlock.adapters.memory.stores import memory_stores
from interlock.adapters.onnx.runtime import OnnxRuntime
from interlock.adapters.sklearn.runtime import SklearnRuntime
from interlock.core.schema import Column, Signature
from interlock.registry.column_graphs import column_graph
from interlock.registry.models import Models

DICE = np.random.default_rng(0)
FRAME = pd.DataFrame(DICE.normal(size=(400, 3)), columns=["a", "b", "c"])
FRAME.loc[::7, "a"] = np.nan
FRAME["city"] = DICE.choice(["JFK", "EWR", "LGA"], 400)
FRAME["gate"] = [f"G{at % 9}" if at % 3 else "G0" for at in range(400)]
Y = ((FRAME["b"] + (FRAME["city"] == "JFK")) > 0.3).astype(int)
SIGNATURE = Signature(
    tuple(Column(name, "string" if name in ("city", "gate") else "double") for name in FRAME.columns),
    (Column("prediction", "double", False),),
)
FILLED = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
HOT = OneHotEncoder(handle_unknown="ignore")


def fitted(*parts: Any, remainder: str = "drop", after: Any = None, final: Any = None) -> Any:
    columns = ColumnTransformer([(str(at), step, names) for at, (step, names) in enumerate(parts)], remainder=remainder)
    return make_pipeline(columns, *([after] if after else []), final or Ridge()).fit(FRAME, Y)


@pytest.fixture
def no_converter(monkeypatch: pytest.MonkeyPatch) -> None:
    def converter(*_: Any, **__: Any) -> None:
        raise AssertionError("the converter was asked")

    monkeypatch.setattr("skl2onnx.convert_sklearn", converter)


@pytest.mark.usefixtures("no_converter")
@pytest.mark.parametrize(
    "model",
    [
        fitted((FILLED, ["a", "b", "c"]), (HOT, ["city", "gate"]), final=LogisticRegression()),
        fitted((HOT, ["gate"]), (FILLED, ["c", "a"]), (HOT, ["city"]), remainder="passthrough"),
        fitted((FILLED, ["a", "b"]), (OneHotEncoder(handle_unknown="ignore", min_frequency=40), ["city", "gate"])),
        fitted((OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=40), ["city", "gate"])),
        fitted((OneHotEncoder(handle_unknown="error", sparse_output=False), ["city"]), after=StandardScaler()),
        fitted((FILLED, ["a"]), ("passthrough", ["b"]), ("drop", ["c"]), after=MinMaxScaler()),
        fitted((OrdinalEncoder(), ["city", "gate"]), (FILLED, ["a"])),
        fitted((OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["city"])),
    ],
    ids=["usual", "mixed", "rare", "rare-or-unseen", "strings", "numbers", "ordinal", "ordinal-unseen"],
)
def test_what_is_usual_needs_no_converter(tmp_path: Path, model: Any) -> None:
    stores = memory_stores()
    models = Models(stores.models, stores.artifacts, tmp_path / "cache", runtimes=[OnnxRuntime(), SklearnRuntime()])
    version = models.register("m", model, example=FRAME)
    assert version.engine == "onnx", version.facts
    assert version.facts["max_difference"] < 1e-12
    folder = models.package_folder(version)
    for path in ("model.onnx", "packed.onnx"):
        onnx.checker.check_model(onnx.load(folder / path))
    assert [port.name for port in onnx.load(folder / "model.onnx").graph.input] == list(version.signature.input_names)
    (folder / "packed.onnx").unlink()
    whole = OnnxRuntime().load(folder, signature=version.signature, settings=version.facts)
    rows = FRAME[:20][list(version.signature.input_names)]
    name = version.signature.outputs[0].name
    expected = model.predict_proba(FRAME[:20])[:, 1] if name == "probability" else model.predict(FRAME[:20])
    assert whole.predict([rows[one].tolist() for one in rows], rows=20)[name] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "model",
    [
        fitted((OneHotEncoder(drop="first", handle_unknown="ignore"), ["city"])),
        fitted((OrdinalEncoder(min_frequency=40), ["city"])),
        fitted((PowerTransformer(), ["b"]), (HOT, ["city"])),
        fitted((make_pipeline(SimpleImputer(add_indicator=True)), ["a"]), (HOT, ["city"])),
        fitted((FILLED, slice(0, 2))),
    ],
    ids=["dropped", "ordinal-rare", "power", "indicator", "slice"],
)
def test_what_is_not_written_here_is_left_to_the_converter(model: Any) -> None:
    assert column_graph([step for _, step in model.steps], SIGNATURE) is None


def test_a_missing_string_is_known_as_the_encoder_saw_it() -> None:
    cities = [None if at % 5 == 0 else city for at, city in enumerate(FRAME["city"])]
    columns = ColumnTransformer([("strings", HOT, [0])])
    model = make_pipeline(columns, Ridge()).fit(np.array(cities, object).reshape(-1, 1), Y)
    signature = Signature((Column("city", "string"),), SIGNATURE.outputs)
    found = column_graph([step for _, step in model.steps], signature)
    assert found is not None
    assert found[1] == "None"
