"""Put requests together as users of NVIDIA's client do, and hold what comes back against them."""

from __future__ import annotations

from typing import Any

import numpy as np

from interlock.testing.open_inference import samples
from interlock.testing.open_inference.checks import Mismatch, expect, expect_equal, short
from interlock.testing.open_inference.models import WIDTH


def simple_inputs(client: Any, *, rows: int = 1, **options: Any) -> list[Any]:
    """Return the inputs of `simple` for a module of the client (`tritonclient.http` or `.grpc`)."""
    first = np.arange(rows * WIDTH, dtype=np.int32).reshape(rows, WIDTH)
    inputs = []
    for at, values in enumerate((first, np.ones_like(first))):
        one = client.InferInput(f"INPUT{at}", list(values.shape), "INT32")
        one.set_data_from_numpy(values, **options)
        inputs.append(one)
    return inputs


def is_simple(result: Any, *, rows: int = 1) -> None:
    """Fail the check unless a result is the sum and the difference."""
    first = np.arange(rows * WIDTH, dtype=np.int32).reshape(rows, WIDTH)
    for name, wanted in (("OUTPUT0", first + 1), ("OUTPUT1", first - 1)):
        same(result.as_numpy(name), wanted)


def sample(datatype: str) -> Any:
    """Return the sample of a datatype as the client takes it."""
    values = samples.array(datatype)
    if datatype == "BF16":
        import ml_dtypes

        return values.view(ml_dtypes.bfloat16)
    return values


def echo_input(client: Any, datatype: str, values: Any, **options: Any) -> Any:
    """Return the input of an echo model."""
    made = client.InferInput("INPUT", list(values.shape), datatype)
    made.set_data_from_numpy(values, **options)
    return made


def same(got: Any, wanted: Any) -> None:
    """Fail the check unless two arrays are equal in type, shape and bits."""
    expect(got is not None, expected="an output", got="none")
    expect_equal((got.dtype, got.shape), (wanted.dtype, wanted.shape), of="type and shape")
    if wanted.dtype.kind == "O":
        expect_equal(got.ravel().tolist(), wanted.ravel().tolist())
    else:
        expect_equal(got.tobytes(), wanted.tobytes(), of="the same bits as")


def fails(ask: Any, *statuses: str) -> str:
    """Return what the client says of an error.

    Raises:
        Mismatch: There is none, the client cannot read it, or its status is another.
    """
    from tritonclient.utils import InferenceServerException

    try:
        found = ask()
    except InferenceServerException as error:
        text = error.message() or ""
        readable = bool(text) and "while decoding the response" not in text
        expect(readable, expected="an error that the client can read", got=short(text))
        if statuses:
            got = str(error.status())
            expect(got in statuses, expected=f"a status of {' or '.join(statuses)}", got=f"{got}: {text}")
        return text
    raise Mismatch("an InferenceServerException", short(repr(found)))
