from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import InvalidInput
from interlock.core.hashing import Hasher, check_digest, digest_of, digest_of_value


def test_the_empty_content_has_blake3s_published_digest() -> None:
    assert digest_of(b"") == "b3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"


@given(st.lists(st.binary(max_size=50)))
def test_chunks_hash_as_their_whole(chunks: list[bytes]) -> None:
    hasher = Hasher()
    for chunk in chunks:
        hasher.update(chunk)
    assert hasher.digest() == digest_of(b"".join(chunks))
    assert hasher.size_bytes == sum(map(len, chunks))


def test_values_hash_by_meaning_and_type() -> None:
    assert digest_of_value({"a": 1, "b": 2}) == digest_of_value({"b": 2, "a": 1})
    assert len({digest_of_value(value) for value in (1, 1.0, True, "1", None, [1], {"1": 1})}) == 7


@pytest.mark.parametrize("text", ["", "b3:", "b3:" + "0" * 63, "b3:" + "G" * 64, "sha256:" + "0" * 64, "../../etc"])
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        check_digest(text)


def test_a_digest_is_returned() -> None:
    assert check_digest(digest_of(b"x")) == digest_of(b"x")
