"""ONNX graphs, registered as they come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

from interlock.adapters.onnx.runtime import OnnxRuntime
from interlock.core.errors import InvalidInput, NotFound, SchemaMismatch
from interlock.core.schema import Column
from interlock.ports.model_store import ModelVersion
from interlock.ports.stores import Stores
from interlock.registry.models import Models

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
MODEL = LogisticRegression().fit(X, (X[:, 0] > 0).astype(int))


@pytest.fixture(scope="module")
def graph() -> Any:
    """Return a graph as skl2onnx makes it, with a map of probabilities for each row."""
    return to_onnx(MODEL, X[:1])


def adder(shape: list[Any], kind: int = TensorProto.FLOAT) -> Any:
    """Return a graph that adds two tensors."""
    ports = [helper.make_tensor_value_info(name, kind, shape) for name in "abc"]
    made = helper.make_graph([helper.make_node("Add", ["a", "b"], ["c"])], "add", ports[:2], ports[2:])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def ask(models: Models, version: ModelVersion, *tensors: Any, rows: int) -> dict[str, Any]:
    runtime = OnnxRuntime()
    folder = models.package_folder(version)
    return runtime.load(folder, signature=version.signature, settings=version.facts).predict(tensors, rows=rows)


def test_a_graph_with_a_map_for_each_row_gives_a_table(models: Models, graph: Any) -> None:
    version = models.register("logistic", graph, example=X)
    assert (version.flavor, version.engine) == ("onnx", "onnx")
    assert version.signature.inputs == (Column("X", "double", False, shape=(-1, 3), datatype="FP32"),)
    assert version.signature.outputs == (
        Column("output_label", "long", False, shape=(-1,), datatype="INT64"),
        Column("output_probability", "double", False, shape=(-1, 2), datatype="FP32"),
    )
    answer = ask(models, version, X[:5], rows=5)
    assert answer["output_probability"] == pytest.approx(MODEL.predict_proba(X[:5]), abs=1e-6)
    # the file that others read is the one that was given
    assert (models.package_folder(version) / "model.onnx").read_bytes() == graph.SerializeToString()
    assert len(models.example(version)["X"]) == 8


def test_no_example_is_needed(models: Models, graph: Any) -> None:
    assert models.register("logistic", graph.SerializeToString()).facts["rows_compared"] == 4


def test_a_file_is_read_with_what_lies_beside_it(models: Models, tmp_path: Path) -> None:
    weights = helper.make_tensor("w", TensorProto.FLOAT, [2, 512], np.ones(1024, np.float32).tobytes(), raw=True)
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, size]) for name, size in (("x", 2), ("y", 512))
    ]
    made = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", ports[:1], ports[1:], [weights])
    proto = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path = tmp_path / "large.onnx"
    onnx.save_model(proto, path, save_as_external_data=True, location="large.data", size_threshold=0)
    version = models.register("large", path)
    assert ask(models, version, np.ones((1, 2), np.float32), rows=1)["y"].tolist() == [[2.0] * 512]


def test_a_first_dimension_that_is_fixed_makes_the_request_one_row(models: Models) -> None:
    version = models.register("whole", adder([2, 3]))
    assert version.signature.inputs[0].shape == (2, 3)
    assert version.facts["rows_compared"] == 1
    one = np.ones((2, 3), np.float32)
    assert ask(models, version, one, one, rows=1)["c"].tolist() == [[2.0] * 3] * 2


def test_whole_numbers_are_taken_as_the_graph_takes_them(models: Models) -> None:
    version = models.register("whole", adder([None, 2], TensorProto.INT32), example={"a": [[1, 2]], "b": [[3, 4]]})
    assert [column.datatype for column in version.signature.inputs] == ["INT32", "INT32"]


def test_mlflow_is_told_of_tensors(models: Models, graph: Any) -> None:
    folder = models.package_folder(models.register("logistic", graph, example=X))
    described = yaml.safe_load((folder / "MLmodel").read_text())
    assert described["flavors"]["onnx"]["data"] == "model.onnx"
    assert described["flavors"]["python_function"]["loader_module"] == "mlflow.onnx"
    assert '"tensor-spec": {"dtype": "float32", "shape": [-1, 3]}' in described["signature"]["inputs"]


def test_what_holds_no_graph_is_refused(models: Models, stores: Stores, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be loaded"):
        models.register("m", b"no graph at all")
    (tmp_path / "broken.onnx").write_bytes(b"\xff" * 100)
    with pytest.raises(InvalidInput, match=r"broken\.onnx holds no ONNX graph"):
        models.register("m", tmp_path / "broken.onnx")
    with pytest.raises(NotFound, match="no file"):
        models.register("m", str(tmp_path / "nowhere.onnx"))
    assert stores.models.find("m") is None


def test_an_example_that_does_not_fit_is_refused(models: Models, graph: Any) -> None:
    with pytest.raises(SchemaMismatch, match="does not take the example") as refusal:
        models.register("m", graph, example=X[:, :2])
    assert "'X': array" in refusal.value.fix
    with pytest.raises(SchemaMismatch, match="lacks the input 'b'"):
        models.register("m", adder([None, 2]), example={"a": [[1, 2]]})
