"""Bodies in chunks."""

from __future__ import annotations

import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.server.http import Rejection
from interlock.server.limits import Limits
from interlock.server.wire.chunks import ChunkedBody

LIMITS = Limits(body_bytes=10_000)


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=50), max_size=6),
    rest=st.binary(max_size=20),
    cuts=st.lists(st.integers(1, 40), max_size=20),
    upper=st.booleans(),
)
def test_whatever_the_pieces_the_body_is_whole(chunks: list[bytes], rest: bytes, cuts: list[int], upper: bool) -> None:
    form = b"%X;a=b\r\n%b\r\n" if upper else b"%x\r\n%b\r\n"
    sent = b"".join(form % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    body = ChunkedBody(LIMITS)
    after: bytes | None = None
    for cut in cuts:
        if len(sent) <= cut:
            break
        assert body.take(sent[:cut]) is None
        sent = sent[cut:]
    after = body.take(sent + rest)
    assert (body.data, after) == (b"".join(chunks), rest)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_body_or_refused(data: bytes) -> None:
    body = ChunkedBody(LIMITS)
    try:
        body.take(data)
    except Rejection as rejection:
        assert rejection.status in (400, 413)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"x\r\n", 400),
        (b" 5\r\nabcde\r\n", 400),
        (b"0x5\r\nabcde\r\n", 400),
        (b"5 \r\nabcde\r\n", 400),
        (b"2\r\nabc\r\n", 400),
        (b"1" * 256, 400),
        (b"123456789\r\n", 400),
        (b"2711\r\n", 413),
        (b"0\r\n" + b"a" * 4_096, 400),
    ],
)
def test_what_is_not_in_order_is_refused(data: bytes, status: int) -> None:
    with pytest.raises(Rejection) as caught:
        ChunkedBody(LIMITS).take(data)
    assert caught.value.status == status


def test_trailers_are_passed_over() -> None:
    body = ChunkedBody(LIMITS)
    assert body.take(b"1\r\na\r\n0\r\nA: b\r\nC: d\r\n") is None
    assert (body.take(b"\r\nrest"), body.data) == (b"rest", b"a")


def test_an_unfinished_body_is_gone_as_soon_as_nobody_holds_it() -> None:
    body = ChunkedBody(LIMITS)
    body.take(b"5\r\nabc")
    left = weakref.ref(body)
    gc.disable()
    try:
        del body
        assert left() is None
    finally:
        gc.enable()
