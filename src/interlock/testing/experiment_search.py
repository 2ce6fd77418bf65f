"""What every experiment store must do with filters, orders and pages."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from interlock.core.errors import InvalidInput
from interlock.ports.experiment_store import ExperimentChange
from interlock.ports.search import AllOf, AnyOf, Compare, Field, Filter, Not, OrderBy
from interlock.ports.stores import Stores
from interlock.testing.contract import Contract
from interlock.testing.machine import Plays

ID, NAME, CREATED = (Field("attribute", key) for key in ("id", "name", "created_at"))
TEAM = Field("tag", "team")
NOTE = Field("tag", "note")
LONG = "x" * 2000


class ExperimentSearchContract(Contract):
    """Searching experiments."""

    @pytest.fixture
    def filled(self, stores: Stores) -> Stores:
        """Fill the stores: Default (0), then a to d, of which d is deleted."""
        stores.experiments.ensure("Default")
        stores.experiments.create("a", tags={"team": "ops"})
        stores.experiments.create("b/x", tags={"team": "Ops", "note": f"{LONG}1"})
        stores.experiments.create("B", tags={"team": "research", "note": f"{LONG}2"})
        gone = stores.experiments.create("d", tags={"team": "ops"})
        stores.experiments.update(gone.id, ExperimentChange(deleted=True))
        return stores

    @pytest.mark.parametrize(
        ("where", "names"),
        [
            (None, ["B", "b/x", "a", "Default"]),
            (Compare(NAME, "=", "a"), ["a"]),
            (Compare(NAME, "!=", "a"), ["B", "b/x", "Default"]),
            (Compare(NAME, "LIKE", "b%"), ["b/x"]),
            (Compare(NAME, "ILIKE", "b%"), ["B", "b/x"]),
            (Compare(NAME, "IN", ("a", "d")), ["a"]),
            (Compare(ID, "=", 0), ["Default"]),
            (Compare(ID, "IN", ("0", "99")), ["Default"]),
            (Compare(ID, "NOT IN", ("0",)), ["B", "b/x", "a"]),
            (Compare(CREATED, ">", 0), ["B", "b/x", "a", "Default"]),
            (Compare(CREATED, "<=", 0.5), []),
            (Compare(TEAM, "=", "ops"), ["a"]),
            (Compare(TEAM, "!=", "ops"), ["B", "b/x"]),
            (Compare(TEAM, "IS NULL"), ["Default"]),
            (Compare(NOTE, "LIKE", "%2"), ["B"]),
            (Not(Compare(TEAM, "=", "ops")), ["B", "b/x", "Default"]),
            (AllOf((Compare(TEAM, "ILIKE", "ops"), Compare(NAME, "!=", "a"))), ["b/x"]),
            (AnyOf((Compare(TEAM, "=", "ops"), Compare(ID, "=", 0))), ["a", "Default"]),
        ],
        ids=str,
    )
    def test_a_filter_finds_what_it_says_newest_first(
        self, filled: Stores, where: Filter | None, names: list[str]
    ) -> None:
        assert [one.name for one in filled.experiments.search(where=where).experiments] == names

    @pytest.mark.parametrize(
        ("order", "names"),
        [
            ((), ["B", "b/x", "a", "Default"]),
            ((OrderBy(NAME),), ["B", "Default", "a", "b/x"]),
            ((OrderBy(NAME, descending=True),), ["b/x", "a", "Default", "B"]),
            ((OrderBy(ID),), ["Default", "a", "b/x", "B"]),
            ((OrderBy(TEAM), OrderBy(NAME)), ["b/x", "a", "B", "Default"]),
            ((OrderBy(TEAM, descending=True),), ["B", "a", "b/x", "Default"]),
            ((OrderBy(NOTE, descending=True),), ["B", "b/x", "a", "Default"]),
        ],
        ids=str,
    )
    def test_an_order_holds_from_page_to_page(
        self, filled: Stores, order: tuple[OrderBy, ...], names: list[str]
    ) -> None:
        assert [one.name for one in filled.experiments.search(order=order).experiments] == names
        found, after = [], None
        for _ in names:
            page = filled.experiments.search(order=order, limit=1, after=after)
            found += [one.name for one in page.experiments]
            after = page.after
        assert (found, after) == (names, None)

    def test_deleted_experiments_are_found_where_they_are_meant(self, filled: Stores) -> None:
        deleted = filled.experiments.search(lifecycle="deleted").experiments
        assert [one.name for one in deleted] == ["d"]
        assert deleted[0].deleted_at is not None
        assert len(filled.experiments.search(lifecycle="all").experiments) == 5

    @pytest.mark.parametrize(
        "where",
        [
            Compare(ID, "=", "one"),
            Compare(ID, "LIKE", "1%"),
            Compare(CREATED, "IN", ("1",)),
            Compare(Field("metric", "auc"), ">", 0.5),
            Compare(Field("attribute", "status"), "=", "x"),
        ],
        ids=str,
    )
    def test_a_filter_that_makes_no_sense_is_refused(self, filled: Stores, where: Filter) -> None:
        with pytest.raises(InvalidInput):
            filled.experiments.search(where=where)

    def test_a_token_of_nobody_is_refused(self, filled: Stores) -> None:
        token = filled.experiments.search(limit=1).after
        assert token is not None
        for asked in ({"after": "nonsense"}, {"after": token, "order": (OrderBy(NAME),)}):
            with pytest.raises(InvalidInput):
                filled.experiments.search(**asked)


_names = st.sampled_from(["a", "B", "b", "ab", "Default"])
_texts = st.sampled_from(["", "a", "B", LONG])
_tags = st.dictionaries(st.sampled_from(["team", "note"]), _texts, max_size=2)
_compares = st.one_of(
    st.builds(Compare, st.sampled_from([NAME, TEAM, NOTE]), st.sampled_from(["=", "!=", "<", ">="]), _texts),
    st.builds(
        Compare, st.sampled_from([NAME, TEAM]), st.sampled_from(["LIKE", "ILIKE"]), st.sampled_from(["a%", "%b", "_"])
    ),
    st.builds(Compare, st.just(ID), st.sampled_from(["=", "!=", "<", ">="]), st.integers(-1, 4)),
    st.builds(Compare, st.sampled_from([TEAM, NOTE]), st.sampled_from(["IS NULL", "IS NOT NULL"])),
)
_filters: st.SearchStrategy[Any] = st.recursive(
    _compares,
    lambda inner: st.one_of(
        st.builds(Not, inner), st.builds(AnyOf, st.lists(inner, min_size=1, max_size=3).map(tuple))
    ),
    max_leaves=4,
)
_orders = st.lists(st.builds(OrderBy, st.sampled_from([ID, NAME, TEAM, NOTE, CREATED]), st.booleans()), max_size=2)

EXPERIMENT_SEARCH_PLAYS: Plays = {
    "create": st.fixed_dictionaries({"name": _names}, optional={"tags": _tags}),
    "ensure": st.fixed_dictionaries({"name": _names}),
    "update": st.fixed_dictionaries(
        {
            "experiment_id": st.integers(0, 3),
            "change": st.builds(ExperimentChange, tags=_tags, deleted=st.sampled_from([None, True, False])),
        }
    ),
    "search": st.fixed_dictionaries(
        {"where": _filters, "order": _orders.map(tuple)},
        optional={"lifecycle": st.sampled_from(["active", "deleted", "all"]), "limit": st.integers(0, 3)},
    ),
}
