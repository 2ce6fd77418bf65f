"""Long texts, orders without a choice, tokens, and the plain form of filters."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import InvalidInput
from interlock.ports.search import AllOf, AnyOf, Compare, Field, Filter, Not, OrderBy
from interlock.ports.search_checks import checked_filter, fields_of, full_order
from interlock.ports.search_fields import EXPERIMENTS, RUNS
from interlock.ports.search_order import (
    LONGEST_WHOLE_BYTES,
    MARK,
    NAN,
    cut,
    place,
    read_token,
    sort_key,
    stored,
    write_token,
)
from interlock.ports.search_values import is_like

AUC = OrderBy(Field("metric", "auc"), descending=True)
TEAM = OrderBy(Field("tag", "team"))
texts = st.one_of(
    st.text(max_size=20),
    st.builds(lambda char, many, end: char * many + end, st.characters(), st.integers(50, 400), st.text(max_size=3)),
    st.text(alphabet=f"a{MARK}", max_size=8),
)


@given(texts.filter(lambda text: text.isprintable()), texts.filter(lambda text: text.isprintable()))
def test_a_cut_text_is_bounded_and_tells_texts_apart(one: str, other: str) -> None:
    assert len(cut(one).encode()) <= LONGEST_WHOLE_BYTES
    assert (cut(one) == cut(other)) == (one == other)
    short, whole = stored(one)
    assert short == one if whole is None else (MARK in short and whole == one)


def test_a_long_text_keeps_its_beginning() -> None:
    assert cut("é" * 150) == "é" * 150
    assert cut("é" * 151).startswith("é" * 132 + MARK)
    assert cut("a" * 400) < cut("b" * 400)
    assert cut("a" * 300) < cut("a" * 301) < cut("a" * 263 + "b")


def test_an_order_is_completed_until_it_leaves_no_choice() -> None:
    newest = full_order((), RUNS)
    assert [(one.field.key, one.descending) for one in newest] == [("started_at", True), ("id", False)]
    assert full_order((AUC, TEAM, AUC), RUNS) == (AUC, TEAM, *newest)
    by_id = OrderBy(Field("attribute", "id"), descending=True)
    assert full_order((TEAM, by_id, AUC), RUNS) == (TEAM, by_id)


@given(
    st.one_of(st.none(), st.floats(), st.integers(-(2**40), 2**40).map(float)),
    st.one_of(st.none(), st.text(max_size=30)),
    st.integers(0, 2**60),
    st.text(max_size=10),
)
def test_a_token_says_where_it_came_from(value: float | None, text: str | None, started: int, run: str) -> None:
    order = full_order((AUC, TEAM), RUNS)
    position = (place(value), place(text), place(started), place(run))
    token = write_token(position, order)
    assert token.replace("-", "").replace("_", "").isalnum()
    assert read_token(token, order, RUNS) == position
    with pytest.raises(InvalidInput, match="page token"):
        read_token(token, full_order((TEAM, AUC), RUNS), RUNS)
    with pytest.raises(InvalidInput, match="page token"):
        read_token(token, full_order((), EXPERIMENTS), EXPERIMENTS)


@pytest.mark.parametrize("token", ["!", "AA", "é", "kgCQ", "A" * 5, "k" * 4000])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidInput):
        read_token(token, full_order((), RUNS), RUNS)


def test_positions_have_nan_before_what_is_missing_either_way() -> None:
    values = [0.5, math.nan, None, -math.inf, math.inf, -0.0]
    for descending, found in ((False, [-math.inf, 0.0, 0.5, math.inf]), (True, [math.inf, 0.5, 0.0, -math.inf])):
        order = (OrderBy(AUC.field, descending),)
        ranked = sorted((place(value) for value in values), key=lambda one: sort_key((one,), order))
        assert [value for _, value in ranked] == [*found, None, None]
        assert [rank for rank, _ in ranked[-2:]] == [NAN, NAN + 1]


A, B, C = (Compare(Field("tag", key), "=", "x") for key in "abc")


@pytest.mark.parametrize(
    ("where", "plain"),
    [
        (A, A),
        (Not(Not(A)), A),
        (AllOf((A,)), A),
        (AllOf((A, AllOf((B, C)))), AllOf((A, B, C))),
        (Not(AllOf((A, Not(B)))), AnyOf((Not(A), B))),
        (Not(AnyOf((A, AllOf((B, C))))), AllOf((AnyOf((Not(B), Not(C))), Not(A)))),
        (AllOf((A, AnyOf((B, C)))), AllOf((AnyOf((B, C)), A))),
        (AllOf(()), AllOf(())),
        (Not(AllOf(())), AnyOf(())),
        (AnyOf((A, AnyOf(()))), A),
    ],
)
def test_a_checked_filter_is_plain(where: Filter, plain: Filter) -> None:
    assert checked_filter(where, RUNS) == plain


def test_a_checked_filter_has_numbers_in_one_form() -> None:
    auc, started, number = AUC.field, Field("attribute", "started_at"), Field("attribute", "id")
    for value, found in ((3, 3.0), (10**400, math.inf), (-(10**400), -math.inf)):
        checked = checked_filter(Compare(auc, ">", value), RUNS)
        assert isinstance(checked, Compare) and checked.value == found and isinstance(checked.value, float)
    assert checked_filter(Compare(started, ">", 2**70), RUNS) == Compare(started, ">", 2.0**70)
    assert checked_filter(Compare(number, "IN", ("1", "-2")), EXPERIMENTS) == Compare(number, "IN", (1, -2))  # type: ignore[arg-type]
    for bad in (True, "x", None, ("1",)):
        with pytest.raises(InvalidInput):
            checked_filter(Compare(auc, ">", bad), RUNS)


def test_a_filter_names_what_it_looks_at() -> None:
    assert fields_of(None) == set()
    assert fields_of(Not(AllOf((A, AnyOf((B, A)))))) == {A.field, B.field}


@given(st.text(alphabet="ab%_", max_size=8), st.text(alphabet="ab%_", max_size=6))
def test_patterns_are_matched_as_by_trying_everything(text: str, pattern: str) -> None:
    def tried(text: str, pattern: str) -> bool:
        if not pattern:
            return not text
        if pattern[0] == "%":
            return any(tried(text[at:], pattern[1:]) for at in range(len(text) + 1))
        return bool(text) and pattern[0] in ("_", text[0]) and tried(text[1:], pattern[1:])

    assert is_like(text, pattern) == tried(text, pattern)
