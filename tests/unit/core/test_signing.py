"""What runs code when it is read is read only where it was signed."""

from __future__ import annotations

import pickle

import pytest

from interlock.core.errors import Corrupt, Refused
from interlock.core.signing import SWITCH, Signer, unsigned

KEY, OTHER = bytes(range(32)), bytes(32)


def signer(*keys: bytes, **environ: str) -> Signer:
    return Signer(lambda: keys, environ)


def test_what_was_signed_is_read() -> None:
    assert signer(KEY).read(signer(KEY).sign(b"code", of="model"), of="model") == b"code"


def test_any_known_key_is_accepted_and_the_first_signs() -> None:
    signed = signer(OTHER).sign(b"code", of="model")
    assert signer(KEY, OTHER).read(signed, of="model") == b"code"
    with pytest.raises(Refused):
        signer(OTHER).read(signer(KEY, OTHER).sign(b"code", of="model"), of="model")


@pytest.mark.parametrize("place", [-1, 30, 60])
def test_a_changed_byte_is_refused(place: int) -> None:
    signed = bytearray(signer(KEY).sign(b"some code that is signed", of="model"))
    signed[place] ^= 1
    with pytest.raises(Refused, match="not signed by this workspace"):
        signer(KEY).read(bytes(signed), of="model")


def test_a_signature_is_good_for_one_purpose_only() -> None:
    with pytest.raises(Refused):
        signer(KEY).read(signer(KEY).sign(b"code", of="model"), of="folder")


def test_a_bare_pickle_is_refused_unread() -> None:
    with pytest.raises(Refused, match="nobody signed"):
        signer(KEY).read(pickle.dumps({"a": 1}), of="model")


@pytest.mark.parametrize("cut", [0, 10, 25, 50, 61])
def test_what_is_cut_short_is_corrupt(cut: int) -> None:
    with pytest.raises(Corrupt):
        signer(KEY).read(signer(KEY).sign(b"code", of="model")[:cut], of="model")


def test_without_a_key_nothing_is_signed_or_read() -> None:
    with pytest.raises(Refused, match="no key"):
        unsigned().sign(b"code", of="model")
    with pytest.raises(Refused):
        unsigned().read(signer(KEY).sign(b"code", of="model"), of="model")


@pytest.mark.parametrize("word", ["0", "off", "No", "false"])
def test_python_models_can_be_switched_off(word: str) -> None:
    signed = signer(KEY).sign(b"code", of="model")
    with pytest.raises(Refused, match="switched off"):
        signer(KEY, **{SWITCH: word}).read(signed, of="model")
    assert signer(KEY, **{SWITCH: "1"}).read(signed, of="model") == b"code"
