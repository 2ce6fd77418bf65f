"""Data is described by its columns, some rows, and a digest that equal data share."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from interlock.experiments.autolog import data_facts as module
from interlock.experiments.autolog.data_facts import DataFacts, facts_of


def facts(rows: Any, target: Any = None) -> DataFacts:
    found = facts_of(rows, target)
    assert found is not None
    return found


def test_columns_have_the_types_of_mlflow() -> None:
    table = {
        "flag": [True, False],
        "count": [1, 2],
        "share": [0.5, None],
        "name": ["a", "b"],
        "when": [datetime(2026, 1, 1), datetime(2026, 1, 2)],
        "raw": [b"a", b"b"],
    }
    found = facts(pa.table({**table, "kind": pa.array(["x", "y"]).dictionary_encode()}))
    assert [(one.name, one.type, one.required) for one in found.columns] == [
        ("flag", "boolean", True),
        ("count", "long", True),
        ("share", "double", False),
        ("name", "string", True),
        ("when", "datetime", True),
        ("raw", "binary", True),
        ("kind", "string", True),
    ]
    assert json.loads(found.signature_inputs())[1] == {"type": "long", "name": "count", "required": True}


def test_equal_data_has_one_digest_however_it_lies_in_memory() -> None:
    array = np.arange(24.0).reshape(6, 4)
    same = [array, np.asfortranarray(array), np.repeat(array, 2, axis=1)[:, ::2], array.tolist()]
    assert len({facts(one).digest for one in same}) == 1
    other = [array.astype(np.float32), array.T, array + 1, array.reshape(4, 6), array.astype(str)]
    assert len({facts(one).digest for one in [array, *other]}) == 6
    frame = pa.table({"a": [1, 2, 3, None]})
    pieces = pa.concat_tables([frame.slice(0, 1), frame.slice(1)])
    assert facts(frame).digest == facts(pieces).digest == facts(frame.to_pandas(types_mapper=pd.ArrowDtype)).digest
    assert facts(frame, [1, 2, 3, 4]).digest != facts(frame, [1, 2, 3, 5]).digest != facts(frame).digest


def test_long_data_is_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    array, table = np.arange(1000.0), pa.table({"a": list(range(1000))})
    monkeypatch.setattr(module, "_CHUNK_ROWS", 100)
    digests = facts(array).digest, facts(table).digest
    assert digests == (facts(array.copy()).digest, facts(pa.table({"a": list(range(1000))})).digest)
    assert digests[0] != facts(array + np.eye(1, 1000, 999)[0]).digest


def test_too_much_data_gets_no_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LARGEST_DIGESTED_BYTES", 100)
    found = facts(np.zeros((100, 3)))
    assert (found.digest, found.rows) == ("", 100)
    assert found.use("train", context="training").digest == "rows-100"


def test_an_example_is_plain() -> None:
    found = facts(np.array([[1.0, np.nan], [np.inf, 2.0]]), np.zeros((2, 3)))
    assert (found.example, found.target) == (([1.0, None], [None, 2.0]), 3)
    assert found.example_json() == (b'{"inputs":[[1.0,null],[null,2.0]]}', "ndarray")
    frame = pd.DataFrame({"a": [1.5], "when": [pd.Timestamp("2026-01-01")]})
    data, kind = facts(frame).example_json()
    assert kind == "dataframe"
    assert json.loads(data)["columns"] == ["a", "when"]


@pytest.mark.parametrize("rows", [None, 3, "text", object(), [], np.zeros(0), np.array(3), pd.DataFrame(), iter([1])])
def test_what_is_no_data_has_no_facts(rows: Any) -> None:
    assert facts_of(rows) is None
