from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from interlock.core.errors import InvalidInput, LimitExceeded, SchemaMismatch
from interlock.core.schema import Column, Signature
from interlock.serving.tensor_check import TensorCheck, is_whole
from interlock.serving.validation import MAX_ROWS, Tensor

IMAGE = Column("image", "double", shape=(-1, 2), datatype="FP32", nullable=False)
LABEL = Column("label", "string", shape=(-1,), datatype="BYTES")
SIGNATURE = Signature((IMAGE, LABEL), ())
WHOLE = Signature((Column("whole", "long", shape=(3,), datatype="INT64"),), ())


@pytest.fixture
def check() -> TensorCheck:
    return TensorCheck(SIGNATURE)


def image(**changes: Any) -> Tensor:
    fields = {"name": "image", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2], [3, 4]]}
    return Tensor(**{**fields, **changes})


def label(**changes: Any) -> Tensor:
    return Tensor(**{"name": "label", "shape": [2], "datatype": "BYTES", "data": ["a", "b"], **changes})


def test_tensors_become_arrays_in_the_order_of_the_signature(check: TensorCheck) -> None:
    table = check.tensors([label(), image()])
    first, second = table.columns
    assert (table.rows, table.is_tensor, table.has_missing) == (2, True, False)
    assert (first.dtype, first.tolist()) == (np.float32, [[1, 2], [3, 4]])
    assert (second.dtype, second.tolist()) == (object, ["a", "b"])


@pytest.mark.parametrize(
    ("tensors", "what"),
    [
        ([], "the input 'image' .* and 1 more is missing"),
        ([image()], "the input 'label' .* is missing"),
        ([image(), image()], "given twice"),
        ([image(name="imgae"), label()], "there is no input 'imgae'"),
        ([image(datatype="FP64"), label()], "expected FP32, got FP64"),
        ([image(shape=[2, 3]), label()], r"shape \[2, 3\]"),
        ([image(shape=[4], data=[1, 2, 3, 4]), label()], r"shape \[4\]"),
        ([image(shape=[-1, 2]), label()], r"shape \[-1, 2\]"),
        ([image(), label(shape=[3], data=["a"] * 3)], "has 3 rows"),
        ([image(shape=[0, 2], data=[]), label()], "no rows"),
        ([image(data=[1, 2, 3]), label()], "has 3 values"),
        ([image(data=[1, 2, 3, None]), label()], "NaN or an infinity"),
        ([image(data=np.array([1, 2, 3, np.inf], np.float32).tobytes()), label()], "NaN or an infinity"),
        ([image(shape=[2**62, 2], data=b"\0" * 8), label()], "8 bytes of data"),
    ],
)
def test_what_does_not_fit_is_named(check: TensorCheck, tensors: list[Tensor], what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        check.tensors(tensors)


def test_names_come_with_the_nearest(check: TensorCheck) -> None:
    with pytest.raises(SchemaMismatch) as error:
        check.tensors([image(name="imgae"), label()])
    assert error.value.why == "did you mean 'image'?"


def test_rows_are_bounded() -> None:
    check = TensorCheck(Signature((Column("x", "boolean", shape=(-1,), datatype="BOOL"),), ()))
    with pytest.raises(LimitExceeded):
        check.tensors([Tensor("x", [MAX_ROWS + 1], "BOOL", b"\0" * (MAX_ROWS + 1))])


def test_a_fixed_first_dimension_makes_the_request_one_row() -> None:
    assert is_whole(WHOLE)
    assert not is_whole(SIGNATURE)
    table = TensorCheck(WHOLE).tensors([Tensor("whole", [3], "INT64", [1, 2, 3])])
    assert table.rows == 1
    assert TensorCheck(WHOLE).columns({"whole": [1, 2, 3]}).columns[0].tolist() == [1, 2, 3]
    assert TensorCheck(WHOLE).records([{"whole": [1, 2, 3]}]).rows == 1
    assert TensorCheck(WHOLE).matrix([[1, 2, 3]]).rows == 1


def test_a_scalar_is_one_row() -> None:
    check = TensorCheck(Signature((Column("x", "double", shape=(), datatype="FP64"),), ()))
    assert check.columns({"x": 1.5}).columns[0].tolist() == 1.5


def test_other_protocols_send_tensors_in_their_own_ways(check: TensorCheck) -> None:
    wanted = [[[1, 2], [3, 4]], ["a", "b"]]
    tables = (
        check.columns({"label": ["a", "b"], "image": [[1, 2], [3, 4]]}),
        check.records([{"image": [1, 2], "label": "a"}, {"label": "b", "image": [3, 4]}]),
        check.split(["label", "image"], [["a", [1, 2]], ["b", [3, 4]]]),
        check.matrix([[[1, 2], "a"], [[3, 4], "b"]]),
    )
    for table in tables:
        assert [values.tolist() for values in table.columns] == wanted
    alone = TensorCheck(Signature((IMAGE,), ()))
    assert alone.matrix([[1, 2], [3, 4]]).columns[0].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("ask", "what"),
    [
        (lambda check: check.columns({"image": [[1, 2]]}), "'label' .* is missing"),
        (lambda check: check.columns({"imgae": [[1, 2]]}), "no input 'imgae'"),
        (lambda check: check.columns({"image": 5, "label": ["a"]}), r"shape \[\]"),
        (lambda check: check.columns({"image": [], "label": ["a"]}), r"shape \[0\]"),
        (lambda check: check.columns({"image": [[1, 2], [3]], "label": ["a", "b"]}), "nested unevenly"),
        (lambda check: check.records([{"image": [1, 2]}]), "row 0: the input 'label'"),
        (lambda check: check.records([{"image": [1, 2], "label": "a", "more": 1}]), "row 0: there is no input 'more'"),
        (lambda check: check.records([[1, 2]]), "row 0: expected an object"),
        (lambda check: check.records([]), "no rows"),
        (lambda check: check.split(["image", "image", "label"], []), "named twice"),
        (lambda check: check.split(["image", "label"], [[[1, 2]]]), "row 0: expected a list of 2 values"),
        (lambda check: check.split(["image"], [[[1, 2]]]), "'label' .* is missing"),
    ],
)
def test_they_are_told_what_is_wrong_too(check: TensorCheck, ask: Any, what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        ask(check)
