"""Outputs come back as they were, and only what this workspace wrote is unpickled."""

from __future__ import annotations

import math
import os
import pickle
import threading
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import Corrupt, InvalidInput
from interlock.pipelines.storing import Stored, decode, encode, seal, unseal
from tests.unit.pipelines.conftest import SECRET, ModuleMaker


def there_and_back(value: Any) -> Any:
    stored = encode(value)
    return decode(unseal(stored.form, seal(stored, SECRET), SECRET))


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (None, "msgpack"),
        (1.5, "msgpack"),
        ([1, "a", b"b", None, True, {"k": [2.0]}], "msgpack"),
        (-(2**63) + 1, "msgpack"),
        (2**64, "pickle"),
        ("\ud800", "pickle"),
        ((1, 2), "pickle"),
        ({1: "a"}, "pickle"),
        ({1, 2}, "pickle"),
        (np.float64(1.5), "pickle"),
        (pa.table({"a": [1, None]}), "arrow"),
        (pa.table({"a": pa.array([], pa.string())}), "arrow"),
        ([pa.table({"a": [1]})], "pickle"),
    ],
)
def test_a_value_comes_back_with_its_type(value: Any, form: str) -> None:
    assert encode(value).form == form
    back = there_and_back(value)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("array", [np.arange(6).reshape(2, 3), np.array(1.0), np.array(["a", "bb"]), np.zeros((0, 3))])
def test_arrays_come_back_with_shape_and_type(array: np.ndarray[Any, Any]) -> None:
    assert encode(array).form == "npy"
    back = there_and_back(array)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_arrays_of_objects_are_pickled() -> None:
    array = np.array([1, "a"], dtype=object)
    assert encode(array).form == "pickle"
    np.testing.assert_array_equal(there_and_back(array), array)


def test_the_order_of_keys_is_kept_and_nan_survives() -> None:
    assert list(there_and_back({"b": 1, "a": 2})) == ["b", "a"]
    assert math.isnan(there_and_back(float("nan")))


@given(st.recursive(st.none() | st.integers() | st.floats(allow_nan=False) | st.text(), st.lists, max_leaves=5))
def test_any_plain_value_comes_back(value: Any) -> None:
    assert there_and_back(value) == value


def test_equal_tables_have_equal_bytes_whatever_their_chunks() -> None:
    table = pa.table({"a": [1, 2, 3]})
    assert encode(table) == encode(pa.concat_tables([table.slice(0, 1), table.slice(1)]))


def test_each_reader_gets_a_value_of_its_own() -> None:
    stored = encode([[1]])
    decode(stored)[0].append(2)
    assert decode(stored) == [[1]]


class Trap:
    def __reduce__(self) -> Any:
        return (os.putenv, ("INTERLOCK_TRAP", "sprung"))


@pytest.mark.parametrize("secret", [b"another secret", b""])
def test_a_pickle_signed_by_another_workspace_is_not_read(secret: bytes) -> None:
    stored = encode({1, 2})
    with pytest.raises(Corrupt, match="cannot be trusted"):
        unseal("pickle", seal(stored, secret), SECRET)


@pytest.mark.parametrize("data", [b"", b"short", bytes(32) + pickle.dumps(Trap()), pickle.dumps(Trap())])
def test_a_forged_pickle_is_not_read(data: bytes) -> None:
    with pytest.raises(Corrupt):
        unseal("pickle", data, SECRET)


def test_one_changed_byte_is_noticed() -> None:
    sealed = bytearray(seal(encode({1, 2}), SECRET))
    sealed[-1] ^= 1
    with pytest.raises(Corrupt):
        unseal("pickle", bytes(sealed), SECRET)


def test_an_unknown_form_is_not_read() -> None:
    with pytest.raises(Corrupt):
        unseal("yaml", b"x" * 64, SECRET)


def test_plain_forms_are_kept_as_they_are() -> None:
    assert seal(Stored("msgpack", b"\x01"), SECRET) == b"\x01"


@pytest.mark.parametrize(
    "value", [lambda: 1, (number for number in [1]), threading.Lock()], ids=["lambda", "generator", "lock"]
)
def test_what_cannot_be_stored_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match="cannot be stored") as refusal:
        encode(value)
    assert refusal.value.fix == "return data from the step"


def test_a_pickle_changes_with_the_code_of_the_classes_inside(module: ModuleMaker) -> None:
    source = "class Model:\n    def predict(self, x):\n        return x\n"
    before = encode([module("models", source).Model()])
    assert before == encode([module("models", source).Model()])
    assert before != encode([module("models", source.replace("return x", "return -x")).Model()])
