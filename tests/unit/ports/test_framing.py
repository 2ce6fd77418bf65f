"""A framed stream comes out as it went in, and its end, a cut and a failure are told apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import Conflict, Corrupt, InterlockError, InvalidInput, Unavailable
from interlock.ports.framing import END, FRAME_BYTES, FrameReader, failure, frames, rebuild


def read(data: bytes, *, step: int = 1 << 30) -> bytes:
    reader = FrameReader()
    found = b"".join(chunk for at in range(0, len(data), step) for chunk in reader.feed(data[at : at + step]))
    reader.close()
    return found


@given(st.lists(st.binary(max_size=20), max_size=5), st.integers(1, 9))
def test_chunks_arrive_in_pieces_of_any_size(chunks: list[bytes], step: int) -> None:
    data = b"".join(frame for chunk in chunks for frame in frames(chunk)) + END
    assert read(data, step=step) == b"".join(chunks)


def test_a_large_chunk_is_split() -> None:
    data = list(frames(b"x" * (2 * FRAME_BYTES + 1)))
    assert [len(frame) - 4 for frame in data] == [FRAME_BYTES, FRAME_BYTES, 1]


def test_an_empty_chunk_does_not_end_the_stream() -> None:
    assert list(frames(b"")) == []


@given(st.binary(min_size=1, max_size=20), st.data())
def test_a_cut_anywhere_is_noticed(chunk: bytes, data: st.DataObject) -> None:
    whole = b"".join(frames(chunk)) + END
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(Unavailable):
        read(whole[:cut])


def test_a_failure_arrives_as_the_error_it_was() -> None:
    error = Corrupt("the content is damaged", why="other hash", fix="interlock verify")
    data = b"".join(frames(b"ab")) + failure(error)
    for step in (1, 3, 1000):
        with pytest.raises(Corrupt) as caught:
            read(data, step=step)
        assert (caught.value.what, caught.value.why, caught.value.fix) == (error.what, error.why, error.fix)
    with pytest.raises(Unavailable):
        read(data[:-1])


@pytest.mark.parametrize(
    "data",
    [
        END + b"x",
        b"\xff\xff\xff\xfe" + b"x",
        b"GET / HTTP/1.1",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xff\xff\xff\xff\0\0\0\x01\xc1",
        b"\xff\xff\xff\xff\0\0\0\x02\x91\x01",
    ],
)
def test_what_is_not_framed_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        read(data)


@given(st.binary(max_size=40))
def test_no_bytes_raise_anything_but_our_errors(data: bytes) -> None:
    try:
        read(data)
    except InterlockError:
        return
    assert data.endswith(END)


def test_an_error_is_rebuilt_by_its_code() -> None:
    assert type(rebuild("IL409", "it moved", "", "")) is Conflict
    assert type(rebuild("IL999", "from the future", "", "")) is InterlockError
