import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import Corrupt
from interlock.core.sealing import Seal, is_sealed, key_of_passphrase

FIRST, SECOND = bytes(32), bytes(range(32))


@given(text=st.text(), of=st.text())
def test_what_is_closed_opens(text: str, of: str) -> None:
    seal = Seal(lambda: [FIRST])
    closed = seal.close(text, of=of)
    assert is_sealed(closed) and closed.isascii()
    assert seal.open(closed, of=of) == text


def test_nothing_of_the_text_shows_and_no_two_are_alike() -> None:
    seal = Seal(lambda: [FIRST])
    closed = [seal.close("s3cret-s3cret", of="a") for _ in range(3)]
    assert len(set(closed)) == 3
    assert all(b"s3cret" not in base64.b64decode(one.removeprefix("sealed:1:")) for one in closed)


def test_it_opens_for_what_it_belongs_to_only() -> None:
    seal = Seal(lambda: [FIRST])
    with pytest.raises(Corrupt, match="the secret of b"):
        seal.open(seal.close("s3cret", of="a"), of="b")


def test_the_first_key_closes_and_all_open() -> None:
    old, new = Seal(lambda: [FIRST]), Seal(lambda: [SECOND, FIRST])
    assert new.open(old.close("s3cret", of="a"), of="a") == "s3cret"
    with pytest.raises(Corrupt, match="INTERLOCK_PASSPHRASE"):
        old.open(new.close("s3cret", of="a"), of="a")


@pytest.mark.parametrize("at", range(len(base64.b64decode(Seal(lambda: [FIRST]).close("ab", of="a")[9:]))))
def test_a_changed_byte_is_noticed(at: int) -> None:
    seal = Seal(lambda: [FIRST])
    data = bytearray(base64.b64decode(seal.close("ab", of="a").removeprefix("sealed:1:")))
    data[at] ^= 1
    with pytest.raises(Corrupt):
        seal.open("sealed:1:" + base64.b64encode(data).decode(), of="a")


@pytest.mark.parametrize("text", ["", "plain", "sealed:1:", "sealed:1:!", "sealed:1:QQ==", "sealed:2:QQ=="])
def test_what_was_never_sealed_does_not_open(text: str) -> None:
    with pytest.raises(Corrupt):
        Seal(lambda: [FIRST]).open(text, of="a")


def test_keys_are_asked_for_once_and_only_when_needed() -> None:
    asked: list[int] = []

    def keys() -> list[bytes]:
        asked.append(1)
        return [FIRST]

    seal = Seal(keys)
    assert asked == []
    seal.open(seal.close("x", of="a"), of="a")
    assert asked == [1]


def test_a_passphrase_leads_to_one_key() -> None:
    assert key_of_passphrase("correct horse") == key_of_passphrase("correct horse")
    assert key_of_passphrase("correct horse") != key_of_passphrase("correct horse ")
    assert len(key_of_passphrase("")) == 32
