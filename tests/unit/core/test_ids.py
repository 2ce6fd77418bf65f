from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from interlock.core.ids import encode_id, is_id, new_id
from tests.forks import play


def test_ids_sort_in_the_order_they_were_made() -> None:
    made = [new_id() for _ in range(10_000)]
    assert made == sorted(set(made))


def test_threads_never_share_an_id() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: new_id(), range(4000)))
    assert len(set(made)) == 4000


FORKS = """
from interlock.core.ids import new_id

new_id()
in_child(lambda: print(new_id(), flush=True))
print(new_id())
"""


def test_a_forked_child_makes_other_ids() -> None:
    theirs, own = play(FORKS).split()
    assert is_id(theirs)
    assert theirs != own


def test_encoding_keeps_order_and_length() -> None:
    assert encode_id(0) == "0" * 26
    assert encode_id(2**128 - 1) == "7" + "Z" * 25
    assert encode_id(31) < encode_id(32)


def test_what_is_no_id() -> None:
    assert is_id(new_id())
    for text in ("", "0" * 25, "8" + "0" * 25, "0" * 25 + "I"):
        assert not is_id(text)
