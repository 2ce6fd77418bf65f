from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from interlock.adapters.onnx.runtime import OnnxRuntime
from interlock.core.errors import Corrupt, InvalidInput
from interlock.core.schema import Column, Signature

INPUTS = (Column("x", "double"), Column("city", "string"))
OUTPUTS = (Column("prediction", "double"),)


def write_graph(folder: Path, *, inputs: tuple[tuple[str, int], ...], nodes: list[onnx.NodeProto]) -> None:
    """Write a graph with the output `prediction`."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, kind, [None, 1]) for name, kind in inputs],
        [helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, [None])],
        [helper.make_tensor("flat", TensorProto.INT64, [1], [-1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    (folder / "model.onnx").write_bytes(model.SerializeToString())


def test_a_column_that_the_graph_does_not_use_is_not_handed_over(tmp_path: Path) -> None:
    write_graph(
        tmp_path,
        inputs=(("x", TensorProto.DOUBLE),),
        nodes=[helper.make_node("Reshape", ["x", "flat"], ["prediction"])],
    )
    predictor = OnnxRuntime().load(tmp_path, signature=Signature(INPUTS, OUTPUTS), settings={})
    assert predictor.predict([[1.5, np.nan], ["a", None]], rows=2)["prediction"].tolist()[0] == 1.5


def test_a_graph_that_does_not_fit_the_signature_is_corrupt(tmp_path: Path) -> None:
    write_graph(
        tmp_path,
        inputs=(("wind", TensorProto.DOUBLE),),
        nodes=[helper.make_node("Reshape", ["wind", "flat"], ["prediction"])],
    )
    with pytest.raises(Corrupt, match="wind"):
        OnnxRuntime().load(tmp_path, signature=Signature(INPUTS, OUTPUTS), settings={})


def test_rows_that_the_graph_refuses_are_bad_input(tmp_path: Path) -> None:
    encoder = helper.make_node("OneHotEncoder", ["city"], ["hot"], domain="ai.onnx.ml", cats_strings=["JFK"], zeros=0)
    graph = helper.make_graph(
        [
            encoder,
            helper.make_node("Cast", ["hot"], ["number"], to=TensorProto.DOUBLE),
            helper.make_node("Reshape", ["number", "flat"], ["prediction"]),
        ],
        "test",
        [helper.make_tensor_value_info("city", TensorProto.STRING, [None, 1])],
        [helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, [None])],
        [helper.make_tensor("flat", TensorProto.INT64, [1], [-1])],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    predictor = OnnxRuntime().load(tmp_path, signature=Signature(INPUTS[1:], OUTPUTS), settings={})
    assert predictor.predict([["JFK"]], rows=1)["prediction"].tolist() == [1.0]
    with pytest.raises(InvalidInput, match="refused"):
        predictor.predict([["nowhere"]], rows=1)
