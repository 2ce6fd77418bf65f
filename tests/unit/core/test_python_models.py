"""Python models are written as one signed file, and read back."""

from __future__ import annotations

import functools
import platform
from collections.abc import Iterator
from typing import Any

import pytest

from interlock.core.carrying import carry
from interlock.core.errors import Corrupt, InvalidInput, MissingExtra, Refused, StepFailed
from interlock.core.python_models import PURPOSE, Head, answering, read_model, streams, write_model
from interlock.core.signing import Signer

SIGNER = Signer(lambda: [bytes(32)], {})
HERE = ".".join(platform.python_version_tuple()[:2])


def doubled(rows: Any) -> Any:
    return rows * 2


class SetUp:
    """Must be set up before it answers."""

    factor = 0

    def load(self) -> None:
        self.factor = 3

    def predict(self, rows: Any) -> Any:
        return rows * self.factor


class Broken(SetUp):
    def load(self) -> None:
        raise OSError("no such weights")


class Yielding:
    def __call__(self, rows: Any) -> Iterator[str]:
        yield "a"


def test_a_model_survives_its_file() -> None:
    head = Head("numpy", False, HERE, {"numpy": "2.0"})
    found, model = read_model(write_model(head, carry(doubled, {})[0], SIGNER), SIGNER)
    assert found == head
    assert answering(model)(4) == 8


def test_classes_and_objects_are_set_up() -> None:
    assert answering(SetUp)(2) == 6
    assert answering(SetUp())(2) == 6
    with pytest.raises(StepFailed, match="could not be set up") as caught:
        answering(Broken)
    assert "OSError: no such weights (in load, test_python_models.py:" in caught.value.why


def test_another_version_of_python_is_told() -> None:
    data = write_model(Head("rows", False, "2.7"), b"", SIGNER)
    with pytest.raises(InvalidInput, match=r"registered with Python 2.7"):
        read_model(data, SIGNER)


def test_a_missing_library_is_told_with_its_version() -> None:
    code = carry(doubled, {})[0] + b""
    data = write_model(Head("rows", False, HERE, {"far": "1.2"}), code[: len(code) // 2], SIGNER)
    with pytest.raises(MissingExtra) as caught:
        read_model(data, SIGNER)
    assert caught.value.fix == "pip install 'far==1.2'"


def test_a_head_of_something_else_is_corrupt() -> None:
    with pytest.raises(Corrupt):
        read_model(SIGNER.sign(b"\0\0\0\2{}", of=PURPOSE), SIGNER)


def test_a_file_of_another_workspace_is_refused() -> None:
    data = write_model(Head("rows", False, HERE), carry(doubled, {})[0], SIGNER)
    with pytest.raises(Refused):
        read_model(data, Signer(lambda: [bytes(range(32))], {}))


def test_generators_stream() -> None:
    assert streams(functools.partial(Yielding.__call__, None))
    assert streams(Yielding())
    assert not streams(doubled)
    assert not streams(SetUp().predict)
