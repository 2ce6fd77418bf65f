from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from interlock.core.errors import InvalidInput, NotFound
from interlock.core.schema import Signature
from interlock.ports.model_runtime import ModelRuntime, Predictor
from interlock.ports.model_store import ModelVersion
from interlock.serving.loading import QUICK_US, ModelLoader
from tests.serving_examples import NOW, SIGNATURE, Adding


class Recording(ModelRuntime):
    """Remembers how it was asked to load."""

    engine = "onnx"

    def __init__(self) -> None:
        self.calls: list[tuple[Path, Mapping[str, Any]]] = []

    def load(self, folder: Path, *, signature: Signature, settings: Mapping[str, Any]) -> Predictor:
        self.calls.append((folder, settings))
        return Adding(signature, 0)


def version(engine: str = "onnx", **facts: Any) -> ModelVersion:
    return ModelVersion("delay", 7, NOW, (), SIGNATURE, flavor="sklearn", engine=engine, facts=facts)


def test_a_version_is_loaded_with_its_runtime_and_its_facts(tmp_path: Path) -> None:
    runtime = Recording()
    loader = ModelLoader(lambda ref: version(null_string="nan", one_row_us=20.0), lambda version: tmp_path, [runtime])
    model = loader("model:delay@champion")
    assert (model.ref, model.version, model.engine, model.signature) == ("model:delay@7", "7", "onnx", SIGNATURE)
    assert runtime.calls == [(tmp_path, {"null_string": "nan", "one_row_us": 20.0})]


@pytest.mark.parametrize(
    ("facts", "is_quick"), [({"one_row_us": QUICK_US}, True), ({"one_row_us": QUICK_US * 2}, False), ({}, False)]
)
def test_only_a_version_known_to_be_quick_is_asked_on_the_loop(
    tmp_path: Path, facts: dict[str, Any], is_quick: bool
) -> None:
    loader = ModelLoader(lambda ref: version(**facts), lambda version: tmp_path, [Recording()])
    assert loader("model:delay@7").is_quick is is_quick


def test_an_engine_that_is_not_at_hand_is_named(tmp_path: Path) -> None:
    loader = ModelLoader(lambda ref: version("onx"), lambda version: tmp_path, [Recording()])
    with pytest.raises(InvalidInput, match="engine 'onx'") as error:
        loader("model:delay@7")
    assert "'onnx'" in error.value.why


def test_a_version_that_nothing_serves_is_refused_with_a_reason(tmp_path: Path) -> None:
    loader = ModelLoader(lambda ref: version(engine=""), lambda version: tmp_path, [Recording()])
    with pytest.raises(InvalidInput, match="nothing here can serve model:delay@7") as caught:
        loader("model:delay@7")
    assert "sklearn" in caught.value.why


def test_what_cannot_be_resolved_is_not_loaded(tmp_path: Path) -> None:
    def resolve(ref: str) -> ModelVersion:
        raise NotFound(f"there is no {ref}")

    with pytest.raises(NotFound):
        ModelLoader(resolve, lambda version: tmp_path, [Recording()])("model:delay@7")
