"""The models that a server must offer to be checked: what they take, what they give, and how Interlock runs them.

One echo model per datatype (`echo_fp32`, `echo_bytes`, …): its one input `INPUT` of shape [-1, -1] comes back as
`OUTPUT`, bit for bit. And `simple`, as in Triton's examples: of `INPUT0` and `INPUT1`, INT32 of shape [-1, 16],
`OUTPUT0` is the sum and `OUTPUT1` the difference. And `spare`, another echo of FP32, to be unloaded. All have the
version `1`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from interlock.core.schema import Column, ColumnType, Signature
from interlock.ports.model_runtime import Predictor

DATATYPES = (
    *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
    *("FP16", "BF16", "FP32", "FP64", "BYTES"),
)
VERSION = "1"
SIMPLE = "simple"
SPARE = "spare"
"""Echoes FP32 too; it is what is unloaded and loaded, so that a server which cannot fails no other check by that."""
WIDTH = 16


def echo_name(datatype: str) -> str:
    """Return the name of the echo model of a datatype.

    Example:
        >>> echo_name("FP32")
        'echo_fp32'
    """
    return f"echo_{datatype.lower()}"


def echo_signature(datatype: str) -> Signature:
    """Return what the echo model of a datatype takes and gives."""
    nearest: ColumnType = "double"
    if datatype == "BOOL":
        nearest = "boolean"
    elif datatype == "BYTES":
        nearest = "binary"
    elif "INT" in datatype:
        nearest = "long"
    return Signature(
        (Column("INPUT", nearest, shape=(-1, -1), datatype=datatype),),
        (Column("OUTPUT", nearest, shape=(-1, -1), datatype=datatype),),
    )


SIMPLE_SIGNATURE = Signature(
    tuple(Column(f"INPUT{at}", "long", shape=(-1, WIDTH), datatype="INT32") for at in range(2)),
    tuple(Column(f"OUTPUT{at}", "long", shape=(-1, WIDTH), datatype="INT32") for at in range(2)),
)


class Echo(Predictor):
    """Gives back what it was given."""

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        """Return the one input as the output."""
        return {"OUTPUT": columns[0]}


class AddAndSubtract(Predictor):
    """Gives the sum and the difference of its inputs."""

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        """Return both, computed in the inputs' datatype."""
        first, second = columns
        return {"OUTPUT0": first + second, "OUTPUT1": first - second}


def all_models() -> dict[str, tuple[Signature, Predictor]]:
    """Return every model that the checks ask for, by name."""
    models: dict[str, tuple[Signature, Predictor]] = {
        echo_name(datatype): (echo_signature(datatype), Echo()) for datatype in DATATYPES
    }
    models[SIMPLE] = (SIMPLE_SIGNATURE, AddAndSubtract())
    models[SPARE] = (echo_signature("FP32"), Echo())
    return models
