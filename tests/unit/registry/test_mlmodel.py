from __future__ import annotations

import json
from typing import Any

import pytest

from interlock.core.schema import Column, Signature
from interlock.registry.mlmodel import PackageKind, kind_of_package

SKOPS = {"pickled_model": "model.skops", "serialization_format": "skops"}
PATHS = ("MLmodel", "model.skops")


def mlmodel(flavors: dict[str, Any], inputs: Any = None, outputs: Any = None) -> bytes:
    lines = ["artifact_path: x", "flavors:"]
    for name, facts in flavors.items():
        lines += [f"  {name}:", *(f"    {key}: {value}" for key, value in {"code": "null", **facts}.items())]
    if inputs is not None:
        lines += ["signature:", f"  inputs: '{json.dumps(inputs)}'", f"  outputs: '{json.dumps(outputs)}'"]
    return "\n".join(lines).encode()


def tensor(dtype: str, *shape: int) -> list[dict[str, Any]]:
    return [{"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}}]


TABLE = [{"type": "double", "name": "x", "required": True}, {"type": "string", "name": "city", "required": False}]
COLUMNS = (Column("x", "double", False), Column("city", "string", True))


@pytest.mark.parametrize(
    ("outputs", "answer"),
    [
        ([{"type": "double", "required": True}], Column("prediction", "double", False)),
        ([{"type": "float", "name": "y", "required": True}], Column("prediction", "double", False)),
        ([{"type": "long", "required": True}], Column("label", "long", False)),
        (tensor("int64", -1), Column("label", "long", False)),
        (tensor("float32", -1, 1), Column("prediction", "double", False)),
        (tensor("str", -1), Column("label", "string", False)),
    ],
)
def test_what_skops_wrote_is_served(outputs: Any, answer: Column) -> None:
    found = kind_of_package(mlmodel({"python_function": {}, "sklearn": SKOPS}, TABLE, outputs), PATHS)
    assert found == PackageKind("sklearn", Signature(COLUMNS, (answer,)), "sklearn")


def test_a_matrix_is_columns_named_as_scikit_learn_names_them() -> None:
    found = kind_of_package(mlmodel({"sklearn": SKOPS}, tensor("float64", -1, 3), tensor("int64", -1)), PATHS)
    assert found.signature.input_names == ("x0", "x1", "x2")
    assert found.engine == "sklearn"


@pytest.mark.parametrize(
    ("facts", "paths"),
    [
        ({"pickled_model": "model.pkl", "serialization_format": "cloudpickle"}, ("MLmodel", "model.pkl")),
        ({"pickled_model": "model.pkl"}, ("MLmodel", "model.pkl")),
        ({**SKOPS, "pickled_model": "../x"}, PATHS),
        (SKOPS, ("MLmodel",)),
    ],
)
def test_a_pickle_is_never_served(facts: dict[str, str], paths: tuple[str, ...]) -> None:
    found = kind_of_package(mlmodel({"sklearn": facts}, TABLE, [{"type": "long"}]), paths)
    assert (found.flavor, found.engine) == ("sklearn", "")
    assert found.signature == Signature(COLUMNS, (Column("0", "long", False),))


def test_without_a_signature_nothing_can_be_served() -> None:
    assert kind_of_package(mlmodel({"sklearn": SKOPS}), PATHS) == PackageKind("sklearn")


def test_the_flavor_is_the_library_where_there_is_one() -> None:
    assert kind_of_package(mlmodel({"python_function": {}, "xgboost": {}}), ()).flavor == "xgboost"
    assert kind_of_package(mlmodel({"python_function": {}}), ()).flavor == "python_function"


@pytest.mark.parametrize(
    "inputs",
    [
        "no JSON",
        [{"type": "array", "name": "x", "items": {}}],
        [{"type": {"type": "object"}, "name": "x"}],
        [{"type": "double", "name": "x"}, {"type": "double", "name": "x"}],
        [{"type": "double", "name": ""}],
        [{"type": "double", "name": str(at)} for at in range(10_001)],
        tensor("float64", -1, 28, 28),
        tensor("complex128", -1, 2),
        tensor("float64", -1, -1),
        tensor("float64", -1, 10**9),
        {"type": "double"},
        [[[]]],
    ],
)
def test_a_signature_of_other_kinds_is_left_out(inputs: Any) -> None:
    found = kind_of_package(mlmodel({"sklearn": SKOPS}, inputs, [{"type": "double"}]), PATHS)
    assert (found.flavor, found.engine, found.signature.inputs) == ("sklearn", "", ())


@pytest.mark.parametrize("data", [b"", b"\xff", b"flavors: [1]", b"flavors:\n- a\n", b"flavors: x", b"signature: x"])
def test_what_is_no_mlmodel_file_says_nothing(data: bytes) -> None:
    assert kind_of_package(data, ()) == PackageKind()
