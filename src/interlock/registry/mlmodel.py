"""Say what a package made by MLflow is: its flavor, its signature, and whether something here can serve it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from interlock.core.errors import InvalidInput, LimitExceeded
from interlock.core.schema import Column, ColumnType, Signature
from interlock.registry.packaging import MODEL_SKOPS
from interlock.registry.signatures import LABEL, PREDICTION
from interlock.registry.yaml_reading import read_section

MLMODEL = "MLmodel"
LARGEST_BYTES = 16 * 1024 * 1024
"""A larger `MLmodel` file is not looked into."""

_MOST_COLUMNS = 10_000
_GENERIC = "python_function"
_TYPES: Mapping[str, ColumnType] = {
    "boolean": "boolean",
    "integer": "long",
    "long": "long",
    "float": "double",
    "double": "double",
    "string": "string",
    "datetime": "datetime",
    "binary": "binary",
}
_NUMPY_TYPES: Mapping[str, ColumnType] = {
    "bool": "boolean",
    "int": "long",
    "uint": "long",
    "float": "double",
    "str": "string",
    "object": "string",
}


class PackageKind(msgspec.Struct, frozen=True):
    """What a package is.

    Args:
        flavor: The library it was made with, `python_function` where only that is known, empty where nothing is.
        signature: Its columns, as far as they are columns.
        engine: What serves it here; empty where nothing does.
    """

    flavor: str = ""
    signature: Signature = Signature((), ())
    engine: str = ""


class _TensorSpec(msgspec.Struct):
    dtype: str
    shape: list[int]


class _Spec(msgspec.Struct, rename={"tensor": "tensor-spec"}):
    type: Any = None
    name: str | int | None = None
    required: bool = True
    tensor: _TensorSpec | None = None


_decode_specs = msgspec.json.Decoder(list[_Spec]).decode


def kind_of_package(mlmodel: bytes, paths: Collection[str]) -> PackageKind:
    """Return what an `MLmodel` file says of its package; what it says otherwise than MLflow writes it is left out.

    Nothing is loaded. Only what skops wrote is served here: a pickle runs whatever code it was made with.

    Args:
        mlmodel: The file.
        paths: Which files the package has.
    """
    try:
        text = mlmodel.decode()
        flavors, described = read_section(text, "flavors"), read_section(text, "signature")
    except (UnicodeDecodeError, InvalidInput, LimitExceeded):
        return PackageKind()
    if not isinstance(flavors, dict):
        return PackageKind()
    flavor = next((name for name in flavors if name != _GENERIC), _GENERIC if flavors else "")
    described = described if isinstance(described, dict) else {}
    inputs, outputs = _columns(described.get("inputs")), _columns(described.get("outputs"))
    sklearn = flavors.get("sklearn")
    if isinstance(sklearn, dict) and _is_served(sklearn, paths) and inputs and len(outputs) == 1:
        only = outputs[0]
        answer = Column(PREDICTION, "double", False) if only.type == "double" else Column(LABEL, only.type, False)
        return PackageKind("sklearn", Signature(inputs, (answer,)), "sklearn")
    return PackageKind(flavor, Signature(inputs, outputs))


def _is_served(sklearn: Mapping[str, Any], paths: Collection[str]) -> bool:
    return (
        sklearn.get("serialization_format") == "skops"
        and sklearn.get("pickled_model") == MODEL_SKOPS
        and MODEL_SKOPS in paths
    )


def _columns(text: Any) -> tuple[Column, ...]:
    """Return the columns that a schema in JSON describes; none where a part of it is no column."""
    if not isinstance(text, str):
        return ()
    try:
        specs = _decode_specs(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return ()
    if len(specs) == 1 and specs[0].tensor is not None and specs[0].name is None:
        return _tensor_columns(specs[0].tensor)
    columns = [_column(spec, at) for at, spec in enumerate(specs[: _MOST_COLUMNS + 1])]
    names = {column.name for column in columns if column is not None}
    if len(columns) > _MOST_COLUMNS or len(names) < len(columns):
        return ()
    return tuple(column for column in columns if column is not None)


def _column(spec: _Spec, at: int) -> Column | None:
    kind = _TYPES.get(spec.type) if isinstance(spec.type, str) else None
    name = str(at) if spec.name is None else str(spec.name)
    return None if kind is None or not name else Column(name, kind, not spec.required)


def _tensor_columns(spec: _TensorSpec) -> tuple[Column, ...]:
    """Return a matrix, of rows by columns, as columns, which scikit-learn calls x0, x1, …; of a vector the one."""
    kind = _NUMPY_TYPES.get(spec.dtype.rstrip("0123456789"))
    shape: Sequence[int] = spec.shape
    if kind is None or not 1 <= len(shape) <= 2 or shape[0] != -1:
        return ()
    width = shape[1] if len(shape) == 2 else 1
    return tuple(Column(f"x{at}", kind, False) for at in range(width)) if 1 <= width <= _MOST_COLUMNS else ()
