"""What is written by hand is read back by the library, and run by the runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from interlock.registry.onnx_writing import DOUBLE, INT64, model, node, port, tensor


def read_tensor(values: Any) -> Any:
    return onnx.TensorProto.FromString(tensor("some", values))


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.5, -2.0, np.nan]),
        np.array([[1.5, 2.5]], np.float32),
        np.array([-1, 300, 2**40]),
        np.array(7),
        np.array([True, False]),
        np.array([0, 255], np.uint8),
        np.zeros((0, 3)),
    ],
    ids=lambda values: f"{values.dtype}{values.shape}",
)
def test_arrays_are_written_as_the_library_reads_them(values: Any) -> None:
    found = read_tensor(values)
    assert found.name == "some"
    array = numpy_helper.to_array(found)
    assert array.dtype == values.dtype
    np.testing.assert_array_equal(array, values)


def test_texts_are_written_as_the_library_reads_them() -> None:
    assert numpy_helper.to_array(read_tensor(["a", "ö", ""])).tolist() == ["a", "ö", ""]


def test_attributes_of_every_kind_are_read_back() -> None:
    many = [0, 1, 127, 128, 16_383, 16_384, 10**9, -1]
    written = node("Op", ["a", "b"], ["c"], domain="d", whole=-5, text="word", many=many, array=np.array([1.5]))
    found = onnx.NodeProto.FromString(written)
    assert (found.op_type, list(found.input), list(found.output), found.domain) == ("Op", ["a", "b"], ["c"], "d")
    read = {one.name: helper.get_attribute_value(one) for one in found.attribute}
    assert (read["whole"], read["text"], read["many"]) == (-5, b"word", many)
    assert numpy_helper.to_array(read["array"]).tolist() == [1.5]


def test_a_whole_model_passes_the_checker_and_runs() -> None:
    data = model(
        [node("Gather", ["x", "at"], ["y"], axis=1), node("Cast", ["y"], ["whole"], to=INT64)],
        [tensor("at", np.array(1))],
        [port("x", DOUBLE, 2)],
        [port("y", DOUBLE), port("whole", INT64)],
    )
    onnx.checker.check_model(onnx.load_model_from_string(data), full_check=True)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    y, whole = session.run(["y", "whole"], {"x": np.array([[1.0, 2.5], [3.0, 4.5]])})
    assert (y.tolist(), whole.tolist()) == ([2.5, 4.5], [2, 4])
