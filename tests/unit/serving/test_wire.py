"""Requests are written as the protocol has it, raw where that pays, and answers read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from interlock.serving.tensor_data import write_raw
from interlock.serving.wire import BINARY_FROM_ROWS, WireColumn, read_answer, write_request

X, N, CITY = WireColumn("x", "FP64", [-1]), WireColumn("n", "INT64", [-1]), WireColumn("city", "BYTES", [-1])
MANY = BINARY_FROM_ROWS


def written(columns: dict[str, Any], rows: int, wire: tuple[WireColumn, ...] = (X, N, CITY)) -> tuple[Any, bytes]:
    body, head = write_request(wire, columns, rows=rows, params={"prediction_ids": ["a"]})
    cut = len(body) if head is None else head
    return json.loads(body[:cut]), body[cut:]


def test_few_rows_are_json() -> None:
    request, rest = written({"city": ["JFK"], "n": [3.0], "x": np.array([1.5])}, 1)
    assert rest == b"" and request["parameters"] == {"prediction_ids": ["a"]}
    assert request["inputs"] == [
        {"name": "x", "shape": [1], "datatype": "FP64", "data": [1.5]},
        {"name": "n", "shape": [1], "datatype": "INT64", "data": [3]},
        {"name": "city", "shape": [1], "datatype": "BYTES", "data": ["JFK"]},
    ]


def test_many_rows_are_raw() -> None:
    columns = {"x": np.arange(MANY) / 2, "n": list(range(MANY)), "city": ["JFK"] * MANY}
    request, rest = written(columns, MANY)
    assert request["parameters"]["binary_data_output"] is True
    assert [one["parameters"]["binary_data_size"] for one in request["inputs"]] == [8 * MANY, 8 * MANY, 7 * MANY]
    assert np.frombuffer(rest[: 8 * MANY]).tolist() == columns["x"].tolist()
    assert rest[16 * MANY :] == write_raw("BYTES", columns["city"])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("n", [None, *range(MANY - 1)]),
        ("n", [0.5] * MANY),
        ("n", [2**70] * MANY),
        ("city", [None, *["JFK"] * (MANY - 1)]),
        ("x", ["far"] * MANY),
        ("x", [[1.0], *[[1.0, 2.0]] * (MANY - 1)]),
        ("other", ["?"] * MANY),
    ],
)
def test_what_raw_tensors_cannot_carry_goes_as_json(name: str, values: list[Any]) -> None:
    if name == "other":
        request, _ = written({name: [1] * MANY}, MANY)
        assert request["inputs"][0]["data"] == [1] * MANY, "a column that is not known is the server's to refuse"
        return
    request, rest = written({name: values}, MANY)
    assert rest == b""
    assert request["inputs"][0]["data"] == values


def test_values_of_other_libraries_are_plain() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    values = [np.float32(0.5), float("nan"), Decimal("1.5")]
    assert written({"x": values}, 3)[0]["inputs"][0]["data"] == [0.5, None, "1.5"]
    assert written({"city": [moment, np.str_("a"), b"b"]}, 3)[0]["inputs"][0]["data"] == [
        "2026-01-01T00:00:00Z",
        "a",
        "Yg==",
    ]


def test_tensors_are_raw_whatever_their_length() -> None:
    image = WireColumn("image", "FP32", [-1, 2, 2])
    request, rest = written({"image": np.ones((1, 2, 2))}, 1, (image,))
    assert request["inputs"][0]["shape"] == [1, 2, 2] and len(rest) == 16
    texts = WireColumn("texts", "BYTES", [-1, 2])
    request, rest = written({"texts": [["a", "b"]]}, 1, (texts,))
    assert request["inputs"][0]["shape"] == [1, 2] and rest == write_raw("BYTES", ["a", "b"])


def test_answers_are_read_in_both_forms() -> None:
    said = {"prediction_ids": ["a", "b"], "model": "model:delay@1"}
    raw = np.array([0.25, 0.5]).tobytes()
    outputs = [
        {"name": "p", "datatype": "FP64", "shape": [2], "parameters": {"binary_data_size": len(raw)}},
        {"name": "label", "datatype": "INT64", "shape": [2], "data": [0, 1]},
    ]
    head = json.dumps({"parameters": said, "outputs": outputs}).encode()
    found = read_answer(head + raw, str(len(head)))
    assert found.values == {"p": [0.25, 0.5], "label": [0, 1]}
    assert found.models == ["model:delay@1"] * 2
    several = json.dumps({"parameters": {**said, "model": ["m@1", "m@2"]}, "outputs": outputs[1:]}).encode()
    found.extend(read_answer(several, None))
    assert found.ids == ["a", "b", "a", "b"] and found.models[2:] == ["m@1", "m@2"]
    assert found.values["label"] == [0, 1, 0, 1]
