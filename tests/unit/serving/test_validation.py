from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from interlock.core.errors import InvalidInput, LimitExceeded, SchemaMismatch
from interlock.core.schema import Column, Signature
from interlock.serving.validation import MAX_ROWS, RowCheck, Tensor
from tests.serving_examples import ROW, SIGNATURE

CHECK = RowCheck(SIGNATURE)
TWO = [{"x": 1.0, "n": 2, "city": "a"}, {"x": None, "n": 3, "city": None}]
NAMES = ["x", "n", "city"]


def tensors(**changes: Any) -> list[Tensor]:
    given = {
        "x": Tensor("x", [2], "FP64", [1.0, 2.0]),
        "n": Tensor("n", [2, 1], "INT64", [[1], [2]]),
        "city": Tensor("city", [2], "BYTES", ["a", "b"]),
    }
    return [tensor for tensor in {**given, **changes}.values() if tensor is not None]


def test_all_shapes_of_the_same_rows_are_the_same_table() -> None:
    split = [[row["city"], row["x"], row["n"]] for row in TWO]
    columns = {name: [row[name] for row in TWO] for name in reversed(NAMES)}
    tables = [
        CHECK.records(TWO),
        CHECK.split(["city", "x", "n"], split),
        CHECK.columns(columns),
        CHECK.matrix([[row[name] for name in NAMES] for row in TWO]),
        CHECK.tensors(
            [
                Tensor("city", [2], "BYTES", columns["city"]),
                Tensor("x", [2, 1], "FP64", [[value] for value in columns["x"]]),
                Tensor("n", [2], "INT32", columns["n"]),
            ]
        ),
    ]
    assert {repr(table) for table in tables} == {repr(tables[0])}
    assert tables[0].rows == 2
    assert tables[0].has_missing
    assert tables[0].columns[1:] == [[2, 3], ["a", None]]
    assert math.isnan(tables[0].columns[0][1])


def test_one_row_without_gaps_is_taken_as_it_is() -> None:
    signature = Signature((Column("x", "double"), Column("city", "string"), Column("flag", "boolean")), ())
    inputs = [
        Tensor("city", [1], "BYTES", ["JFK"]),
        Tensor("x", [1], "FP64", [0.25]),
        Tensor("flag", [1], "BOOL", [True]),
    ]
    table = RowCheck(signature).tensors(inputs)
    assert (table.columns, table.rows, table.has_missing) == ([[0.25], ["JFK"], [True]], 1, False)


@pytest.mark.parametrize("value", [math.nan, 3])
def test_one_row_that_is_less_common_goes_the_longer_way(value: float) -> None:
    signature = Signature((Column("x", "double"),), ())
    table = RowCheck(signature).tensors([Tensor("x", [1], "FP64", [value])])
    assert repr(table.columns) == repr([[float(value)]])


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"x": Tensor("x", [2], "BYTES", ["1", "2"])}, "column 'x': expected FP64, got BYTES"),
        ({"n": Tensor("n", [2], "FP64", [1.0, 2.0])}, "column 'n': expected INT64, got FP64"),
        ({"x": Tensor("x", [2], "FP64", [1.0, "2"])}, "row 1, column 'x': expected double, got a string"),
        ({"x": Tensor("x", [2], "FP64", [1.0, True])}, "row 1, column 'x': expected double, got a boolean"),
        ({"x": Tensor("x", [3], "FP64", [1.0, 2.0, 3.0])}, "the input 'n' has 2 rows"),
        ({"x": Tensor("x", [2], "FP64", [1.0])}, "the input 'x' has 1 values"),
        ({"x": Tensor("x", [2], "FP64", 5)}, "the input 'x' has no list of values"),
        ({"x": Tensor("x", [2], "FP64")}, "the input 'x' has no list of values"),
        ({"x": Tensor("x", [2, 2], "FP64", [1.0] * 4)}, r"the input 'x' has shape \[2, 2\]"),
        ({"x": Tensor("x", [], "FP64", [1.0])}, r"the input 'x' has shape \[\]"),
        ({"x": Tensor("x", [-1], "FP64", [1.0])}, r"the input 'x' has shape \[-1\]"),
        ({"x": Tensor("x", [2, 1], "FP64", [[1.0], [2.0, 3.0]])}, "nested unevenly"),
        ({"x": None}, r"column 'x' \(double\) is missing"),
        ({"x": None, "n": None}, r"column 'x' \(double\) and 1 more is missing"),
        ({"cty": Tensor("cty", [2], "BYTES", ["a", "b"])}, "there is no column 'cty'"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(change: dict[str, Any], what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        CHECK.tensors(tensors(**change))


def test_a_column_given_twice_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'x' is given twice"):
        CHECK.tensors([*tensors(), Tensor("x", [2], "FP64", [1.0, 2.0])])


def test_a_row_given_nested_in_one_list_is_taken() -> None:
    nested = tensors(x=Tensor("x", [2, 1], "FP64", [[1.0, 2.0]]))
    assert CHECK.tensors(nested).columns[0] == [1.0, 2.0]


def test_a_huge_shape_is_refused_before_its_data_is_looked_at() -> None:
    with pytest.raises(LimitExceeded, match="1000000000 rows"):
        CHECK.tensors([Tensor("x", [10**9], "FP64", [1.0])])


def test_unknown_and_missing_names_come_with_the_nearest() -> None:
    with pytest.raises(SchemaMismatch, match="row 1: there is no column 'cty'") as error:
        CHECK.records([ROW, {"x": 1.0, "n": 1, "cty": "a"}])
    assert error.value.why == "did you mean 'city'?"
    with pytest.raises(SchemaMismatch, match=r"row 0: column 'x' \(double\) is missing") as error:
        CHECK.records([{"n": 1, "city": "a"}])
    assert "send null" in error.value.why
    with pytest.raises(SchemaMismatch, match=r"column 'n' \(long\) is missing") as error:
        CHECK.columns({"x": [1.0], "city": ["a"]})
    assert "null" not in error.value.why


@pytest.mark.parametrize(
    ("ask", "what"),
    [
        (lambda: CHECK.records([]), "no rows"),
        (lambda: CHECK.records([["not", "an", "object"]]), "row 0: expected an object, got list"),
        (lambda: CHECK.columns({"x": 1.0, "n": [1], "city": ["a"]}), "'x': expected a list"),
        (lambda: CHECK.columns({"x": [1.0, 2.0], "n": [1], "city": ["a"]}), "'n' has 1 values"),
        (lambda: CHECK.split(["x", "n"], [[1.0, 2]]), "'city'"),
        (lambda: CHECK.split(["x", "n", "city", "x"], [[1.0, 2, "a", 1.0]]), "named twice"),
        (lambda: CHECK.split(NAMES, [[1.0, 2]]), "row 0: expected 3 values, got 2 values"),
        (lambda: CHECK.matrix([[1.0, 2, "a"], "abc"]), "row 1: expected 3 values, got str"),
        (lambda: CHECK.matrix([[1.0, 2, 3]]), "row 0, column 'city': expected string, got a whole number"),
        (lambda: CHECK.matrix([[1.0, 2, "a"]] * (MAX_ROWS + 1)), f"{MAX_ROWS + 1} rows"),
    ],
)
def test_other_shapes_that_do_not_fit_are_refused(ask: Any, what: str) -> None:
    with pytest.raises((InvalidInput, LimitExceeded), match=what):
        ask()


NUMBERS = Signature((Column("a", "double"), Column("b", "long"), Column("c", "double", nullable=False)), ())


class TestOneMatrixOfAllColumns:
    """Callers of scikit-learn models send one input of rows by columns under any name."""

    @pytest.mark.parametrize("data", [[[0.5, 1, 2], [3, 4, 5]], [0.5, 1.0, 2.0, 3, 4, 5]])
    def test_it_is_taken_in_the_order_of_the_signature(self, data: Any) -> None:
        table = RowCheck(NUMBERS).tensors([Tensor("input-0", [2, 3], "FP64", data)])
        assert table.columns == [[0.5, 3.0], [1, 4], [2.0, 5.0]]
        assert [type(value) for value in table.columns[1]] == [int, int]

    def test_raw_and_whole_numbers_too(self) -> None:
        raw = np.arange(6, dtype=np.float32).tobytes()
        assert RowCheck(NUMBERS).tensors([Tensor("predict", [2, 3], "FP32", raw)]).columns == [[0, 3], [1, 4], [2, 5]]
        table = RowCheck(NUMBERS).tensors([Tensor("predict", [1, 3], "INT32", [1, 2, 3])])
        assert table.columns == [[1.0], [2], [3.0]]

    def test_nan_is_missing_where_it_may_be(self) -> None:
        table = RowCheck(NUMBERS).tensors([Tensor("x", [1, 3], "FP64", [None, 1, 2])])
        assert table.has_missing
        with pytest.raises(SchemaMismatch, match="column 'c'"):
            RowCheck(NUMBERS).tensors([Tensor("x", [1, 3], "FP64", [1, 1, None])])

    @pytest.mark.parametrize(
        ("tensor", "what"),
        [
            (Tensor("x", [1, 4], "FP64", [1, 2, 3, 4]), "has 4 columns"),
            (Tensor("x", [1, 3], "FP64", [1, 2.5, 3]), "column 'b': expected long"),
            (Tensor("x", [1, 3], "FP64", [1, 2]), "has 2 values"),
            (Tensor("x", [1, 3], "BYTES", ["1", "2", "3"]), "no column 'x'"),
            (Tensor("x", [0, 3], "FP64", []), "no rows"),
            (Tensor("x", [MAX_ROWS + 1, 3], "FP64", []), "rows"),
            (Tensor("x", [-1, 3], "FP64", []), "shape"),
            (Tensor("x", [1, 3, 1], "FP64", [1, 2, 3]), "no column 'x'"),
            (Tensor("a", [1, 3], "FP64", [1, 2, 3]), r"\[rows\] or \[rows, 1\]"),
        ],
    )
    def test_what_does_not_fit_is_named(self, tensor: Tensor, what: str) -> None:
        with pytest.raises((InvalidInput, LimitExceeded), match=what):
            RowCheck(NUMBERS).tensors([tensor])

    def test_a_column_that_is_no_number_is_named(self) -> None:
        mixed = Signature((Column("a", "double"), Column("city", "string")), ())
        with pytest.raises(SchemaMismatch) as error:
            RowCheck(mixed).tensors([Tensor("x", [1, 2], "FP64", [1, 2])])
        assert "'city' is string" in error.value.why


def test_raw_columns_are_read_as_plain_values() -> None:
    check = RowCheck(Signature((Column("n", "long"), Column("city", "string"), Column("blob", "binary")), ()))
    tensors = [
        Tensor("n", [2, 1], "INT16", memoryview(b"\1\0\2\0")),
        Tensor("city", [2], "BYTES", b"\3\0\0\0JFK\0\0\0\0"),
        Tensor("blob", [2], "BYTES", b"\1\0\0\0\xff\0\0\0\0"),
    ]
    assert check.tensors(tensors).columns == [[1, 2], ["JFK", ""], [b"\xff", b""]]
    typed = [tensors[0], Tensor("city", [2], "BYTES", [b"JFK", b""]), tensors[2]]
    assert check.tensors(typed).columns[1] == ["JFK", ""]
