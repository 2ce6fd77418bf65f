from __future__ import annotations

import msgspec
import pytest

from interlock.core.schema import Column, Signature


def test_a_signature_travels_as_json() -> None:
    signature = Signature(
        (Column("x", "double", unit="min"), Column("c", "string", nullable=False)), (Column("p", "double"),)
    )
    assert msgspec.json.decode(msgspec.json.encode(signature), type=Signature) == signature
    assert signature.input_names == ("x", "c")


def test_unknown_types_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"name":"x","type":"float128"}', type=Column)
