"""Write a Python model as one signed file, and read it back: the form that registry and runtime share."""

from __future__ import annotations

import functools
import inspect
import platform
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from interlock.core.blame import blame
from interlock.core.carrying import UNREADABLE, read_carried
from interlock.core.errors import Corrupt, InvalidInput, MissingExtra, StepFailed
from interlock.core.signing import Signer

MODEL_FILE = "model.signed"
PURPOSE = "python model"

Takes = Literal["row", "rows", "columns", "pandas", "polars", "arrow", "numpy", "tensors"]
"""In which form a model is handed its rows: a dict for one row, a list of such, a dict of lists, a frame of a library,
a matrix, or one array for each tensor."""


class Head(msgspec.Struct, frozen=True):
    """What is written before a model's code.

    Args:
        takes: How it is handed rows.
        streams: Whether it yields parts of its answer.
        python: The minor version of Python that wrote it.
        libraries: Distributions that its code imports, with their versions.
    """

    takes: Takes
    streams: bool
    python: str
    libraries: dict[str, str] = {}


_decode_head = msgspec.json.Decoder(Head).decode
_LENGTH_BYTES = 4


def write_model(head: Head, code: bytes, signer: Signer) -> bytes:
    """Return the file of a Python model."""
    top = msgspec.json.encode(head)
    return signer.sign(len(top).to_bytes(_LENGTH_BYTES, "big") + top + code, of=PURPOSE)


def read_model(data: bytes, signer: Signer) -> tuple[Head, Any]:
    """Return a Python model from its file; nothing in it is read before its signature is known to fit.

    Raises:
        Refused: This workspace did not sign it.
        Corrupt: The file is damaged.
        InvalidInput: Another version of Python wrote it.
        MissingExtra: A library that it needs is missing, or is another version.
    """
    payload = signer.read(data, of=PURPOSE)
    size = int.from_bytes(payload[:_LENGTH_BYTES], "big")
    try:
        head = _decode_head(payload[_LENGTH_BYTES : _LENGTH_BYTES + size])
    except msgspec.DecodeError as error:
        raise Corrupt("the model's file cannot be read", why=str(error), fix="register the model again") from error
    here = ".".join(platform.python_version_tuple()[:2])
    if head.python != here:
        raise InvalidInput(
            f"the model was registered with Python {head.python} and is loaded with {here}",
            why="its functions travel as byte-code, which only the same version reads",
            fix=f"serve it with Python {head.python}, or register it again with {here}",
        )
    try:
        return head, read_carried(payload[_LENGTH_BYTES + size :])
    except UNREADABLE as error:
        pins = " ".join(f"'{name}=={version}'" for name, version in head.libraries.items())
        raise MissingExtra(
            "the model needs a library that is not installed here, or not in this version",
            why=blame(error),
            fix=f"pip install {pins}" if pins else "install what it was registered with",
        ) from error


def answering(model: Any) -> Callable[..., Any]:
    """Return what answers of a model: itself if it is a function, else its `predict`, once it has been set up.

    A class is made without arguments; `load()` is called where there is one.

    Raises:
        StepFailed: Its own code raised while it was set up.
    """
    try:
        if isinstance(model, type):
            model = model()
        if hasattr(model, "predict") and callable(getattr(model, "load", None)):
            model.load()
    except (Exception, SystemExit) as error:
        raise StepFailed(
            "the model could not be set up",
            why=blame(error),
            fix="make it without arguments, and see that load() works in a new process",
        ) from error
    return method_of(model)


def method_of(model: Any) -> Callable[..., Any]:
    """Return the function that answers, as it is written."""
    found: Callable[..., Any] = getattr(model, "predict", model)
    return found


def streams(function: Callable[..., Any]) -> bool:
    """Say whether a function yields its answer part by part."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.isgeneratorfunction(function) or inspect.isgeneratorfunction(type(function).__call__)
