from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from interlock.core.ids import decode_id, encode_id, is_id, is_run, new_id, new_ids, run_of_ids
from tests.forks import play


def test_ids_sort_in_the_order_they_were_made() -> None:
    made = [new_id() for _ in range(10_000)]
    assert made == sorted(set(made))


def test_ids_made_together_follow_each_other_and_what_was_made_before() -> None:
    before = new_id()
    made = new_ids(3_000)
    assert is_run(made)
    assert before < made[0]
    assert made == sorted(set(made))
    assert made[-1] < new_id()
    assert new_ids(0) == []


@pytest.mark.parametrize("first", [0, 1_000, 1_023, 1_024, 2**128 - 3_000])
def test_a_run_is_written_as_its_numbers_are(first: int) -> None:
    ids = run_of_ids(first, 3_000)
    assert ids == [encode_id(number) for number in range(first, first + 3_000)]
    assert [decode_id(one) for one in ids] == list(range(first, first + 3_000))


def test_what_is_no_run() -> None:
    ids = run_of_ids(2**100, 5)
    for others in ([], ["p1", "p2"], ids[:2] + ids[3:], ids[::-1], [ids[0]] * 2, [*ids, "p1"], [*ids, 6 * "7"]):
        assert not is_run(others)


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
