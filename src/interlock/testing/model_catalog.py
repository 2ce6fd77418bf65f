"""What every model catalog must do."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from interlock.core.errors import Conflict, InvalidInput, NotFound
from interlock.ports.journal import Edge
from interlock.ports.model_catalog import RegisteredModelChange, VersionChange
from interlock.ports.search import AllOf, Compare, Field, Not, Operator, OrderBy
from interlock.ports.stores import Stores
from interlock.testing.contract import Contract
from interlock.testing.machine import Plays
from interlock.testing.model_store import a_model, a_verdict

ODD = "Flight delay: größe 100 %/é"
ODD_REF = "model:Flight%20delay%3A%20gr%C3%B6%C3%9Fe%20100%20%25/%C3%A9"


def attribute(key: str, operator: Operator, value: Any) -> Compare:
    """Return a condition on an attribute."""
    return Compare(Field("attribute", key), operator, value)


def tag(key: str, operator: Operator, value: Any) -> Compare:
    """Return a condition on a tag."""
    return Compare(Field("tag", key), operator, value)


def told(stores: Stores) -> list[tuple[str, str, dict[str, Any]]]:
    """Return the events, without who and when."""
    return [(event.kind, event.subject, event.payload) for event in stores.journal.events()]


class ModelCatalogContract(Contract):
    """Registered models, and the notes on their versions."""

    def test_a_model_is_named_before_it_has_versions(self, stores: Stores) -> None:
        made = stores.catalog.create("delay", description="minutes late", tags={"team": "ops"})
        assert (made.name, made.description, made.tags) == ("delay", "minutes late", {"team": "ops"})
        assert (made.versions, made.aliases, made.updated_at) == (0, {}, made.created_at)
        assert stores.catalog.get("delay") == made
        assert stores.models.find("delay") is None
        assert stores.models.versions("delay") == []
        assert stores.models.aliases("delay") == {}
        assert stores.models.alias_history("delay") == []
        assert stores.models.models() == []
        assert told(stores) == [("model.created", "model:delay", {})]

    def test_the_first_version_names_its_model(self, stores: Stores) -> None:
        stores.models.add_version(a_model())
        stores.models.add_version(a_model())
        assert stores.catalog.get("delay").versions == 2
        kinds = [kind for kind, _, _ in told(stores)]
        assert kinds == ["model.created", "model.registered", "model.registered"]

    def test_a_name_is_used_once(self, stores: Stores) -> None:
        stores.models.add_version(a_model())
        stores.catalog.create("fare")
        calls: tuple[Callable[[], Any], ...] = (
            lambda: stores.catalog.create("delay"),
            lambda: stores.catalog.create("fare", tags={"a": "b"}),
            lambda: stores.catalog.rename("delay", "fare"),
        )
        for call in calls:
            with pytest.raises(Conflict):
                call()
        assert stores.catalog.get("fare").tags == {}

    def test_of_parallel_creations_one_wins(self, stores: Stores) -> None:
        def create(_: int) -> bool:
            try:
                stores.catalog.create("delay")
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(create, range(8))) == 1

    def test_any_line_of_text_is_a_name(self, stores: Stores) -> None:
        for name in (ODD, "%2e%2e", "a" * 500):
            stores.catalog.create(name)
            version = stores.models.add_version(a_model(name))
            stores.models.set_alias(name, "champion", version=1)
            assert stores.catalog.get(name).aliases == {"champion": 1}
            assert stores.models.get(name, alias="champion") == version
        assert stores.models.get(ODD).ref == f"{ODD_REF}@1"
        assert {subject for _, subject, _ in told(stores)} >= {ODD_REF, f"{ODD_REF}@1"}

    @pytest.mark.parametrize("name", ["", "two\nlines", "a\0b", "a" * 501, "..", "a//b"])
    def test_what_cannot_be_a_name_leaves_nothing(self, stores: Stores, name: str) -> None:
        stores.catalog.create("delay")
        with pytest.raises(InvalidInput):
            stores.catalog.create(name)
        with pytest.raises(InvalidInput):
            stores.catalog.rename("delay", name)
        assert [one.name for one in stores.catalog.search().models] == ["delay"]
        assert len(told(stores)) == 1

    @pytest.mark.parametrize(
        "change",
        [
            RegisteredModelChange(tags={"": "x"}),
            RegisteredModelChange(tags={"a": "\0"}),
            RegisteredModelChange(description="\ud800"),
            RegisteredModelChange(description="x" * 100_001),
        ],
    )
    def test_a_bad_description_or_tag_leaves_nothing(self, stores: Stores, change: RegisteredModelChange) -> None:
        made = stores.catalog.create("delay")
        with pytest.raises(InvalidInput):
            stores.catalog.update("delay", change)
        with pytest.raises(InvalidInput):
            stores.catalog.create("fare", description=change.description or "", tags=change.tags)
        assert [stores.catalog.get("delay")] == list(stores.catalog.search().models) == [made]

    def test_changes_are_told_once(self, stores: Stores) -> None:
        stores.catalog.create("delay", tags={"x": "1", "y": "2", "z": "3"})
        change = RegisteredModelChange(description="late", tags={"x": "9", "y": "2"}, remove_tags=("z",))
        after = stores.catalog.update("delay", change)
        assert (after.description, after.tags) == ("late", {"x": "9", "y": "2"})
        assert stores.catalog.update("delay", msgspec.structs.replace(change, remove_tags=())) == after
        assert stores.catalog.update("delay", RegisteredModelChange()) == after == stores.catalog.get("delay")
        payload = {"description": "late", "tags": ["x"], "removed_tags": ["z"]}
        assert told(stores)[1:] == [("model.updated", "model:delay", payload)]

    def test_unknown_names(self, stores: Stores) -> None:
        stores.models.add_version(a_model())
        before = told(stores)
        calls: tuple[Callable[[], Any], ...] = (
            lambda: stores.catalog.get("fare"),
            lambda: stores.catalog.update("fare", RegisteredModelChange(description="x")),
            lambda: stores.catalog.update("delay", RegisteredModelChange(description="x", remove_tags=("a",))),
            lambda: stores.catalog.rename("fare", "tax"),
            lambda: stores.catalog.delete("fare"),
            lambda: stores.catalog.notes("fare", 1),
            lambda: stores.catalog.notes("delay", 2),
            lambda: stores.catalog.notes("delay", 0),
            lambda: stores.catalog.annotate("delay", 2, VersionChange(stage="Staging")),
            lambda: stores.catalog.annotate("delay", 1, VersionChange(stage="Staging", remove_tags=("a",))),
            lambda: stores.catalog.delete_version("delay", 2),
            lambda: stores.catalog.delete_version("fare", 1),
        )
        for call in calls:
            with pytest.raises(NotFound):
                call()
        assert stores.catalog.newest_by_stage(["fare"]) == []
        assert told(stores) == before

    def test_a_deleted_model_frees_its_name_and_no_number(self, stores: Stores) -> None:
        stores.catalog.create("delay", tags={"a": "1"})
        for _ in range(2):
            stores.models.add_version(a_model(tags={"b": "2"}))
        stores.models.set_alias("delay", "champion", version=2)
        stores.models.add_verdict(a_verdict("v1"))
        stores.catalog.delete("delay")
        assert stores.models.find("delay") is None
        assert stores.models.find("delay", alias="champion") is None
        assert stores.catalog.search().models == ()
        assert stores.catalog.search_versions().versions == ()
        for call in (
            lambda: stores.catalog.get("delay"),
            lambda: stores.models.versions("delay"),
            lambda: stores.models.aliases("delay"),
        ):
            with pytest.raises(NotFound):
                call()
        assert told(stores)[-1] == ("model.deleted", "model:delay", {"versions": [1, 2]})
        assert stores.models.get_verdict("v1").candidate == "model:delay@1"
        again = stores.catalog.create("delay")
        assert (again.tags, again.versions, again.aliases) == ({}, 0, {})
        assert stores.models.alias_history("delay") == []
        assert stores.models.add_version(a_model()).version == 3
        assert stores.catalog.notes("delay", 3).tags == {}

    def test_a_new_name_takes_everything_along(self, stores: Stores) -> None:
        stores.catalog.create("delay", description="late", tags={"a": "1"})
        stores.models.add_version(a_model(run="r1"), edges=[Edge("dataset:flights@3", "", "trained_on")])
        stores.models.add_version(a_model("delay2"))
        stores.models.set_alias("delay", "champion", version=1)
        stores.models.add_verdict(a_verdict("v1", champion="model:delay@1"))
        stores.catalog.annotate("delay", 1, VersionChange(stage="Production"))
        after = stores.catalog.rename("delay", ODD)
        assert (after.name, after.description, after.tags) == (ODD, "late", {"a": "1"})
        assert (after.versions, after.aliases) == (1, {"champion": 1})
        assert after == stores.catalog.get(ODD)
        version = stores.models.get(ODD, alias="champion")
        assert (version.model, version.ref) == (ODD, f"{ODD_REF}@1")
        assert stores.catalog.notes(ODD, 1).stage == "Production"
        assert [move.model for move in stores.models.alias_history(ODD)] == [ODD]
        [verdict] = stores.models.verdicts(model=ODD)
        assert (verdict.candidate, verdict.champion) == (f"{ODD_REF}@1", f"{ODD_REF}@1")
        assert stores.models.verdicts(candidate=f"{ODD_REF}@1") == [verdict]
        assert sorted(stores.journal.walk("verdict:v1", direction="back")) == [
            Edge("dataset:flights@3", f"{ODD_REF}@1", "trained_on"),
            Edge("dataset:flights@3", "verdict:v1", "judged_in"),
            Edge(f"{ODD_REF}@1", "verdict:v1", "judged_in"),
            Edge("run:r1", f"{ODD_REF}@1", "produced"),
        ]
        assert stores.journal.walk("model:delay@1", direction="forward") == []
        assert told(stores)[-1] == ("model.renamed", ODD_REF, {"from": "delay", "to": ODD})
        for call in (lambda: stores.catalog.get("delay"), lambda: stores.models.versions("delay")):
            with pytest.raises(NotFound):
                call()
        assert stores.models.get("delay2").ref == "model:delay2@1"

    def test_a_name_that_was_left_goes_on_counting(self, stores: Stores) -> None:
        stores.models.add_version(a_model())
        stores.models.add_version(a_model())
        stores.models.add_version(a_model("fare"))
        stores.catalog.delete("fare")
        stores.catalog.rename("delay", "fare")
        assert stores.models.add_version(a_model("fare")).version == 3
        assert stores.models.add_version(a_model("delay")).version == 3
        assert [one.name for one in stores.catalog.search().models] == ["delay", "fare"]

    def test_the_same_name_again_is_no_change(self, stores: Stores) -> None:
        made = stores.catalog.create("delay")
        assert stores.catalog.rename("delay", "delay") == made
        assert len(told(stores)) == 1


class ModelCatalogSearchContract(Contract):
    """Searches of registered models and versions."""

    def test_models_are_found_by_name_and_tag(self, stores: Stores) -> None:
        for name, team in (("fare", "ops"), ("delay", "ops"), ("Delay 2", "lab")):
            stores.catalog.create(name, tags={"team": team})
        stores.catalog.create("bare")
        cases: list[tuple[Any, list[str]]] = [
            (None, ["Delay 2", "bare", "delay", "fare"]),
            (attribute("name", "=", "delay"), ["delay"]),
            (attribute("name", "LIKE", "%elay%"), ["Delay 2", "delay"]),
            (attribute("name", "ILIKE", "delay%"), ["Delay 2", "delay"]),
            (tag("team", "=", "ops"), ["delay", "fare"]),
            (tag("team", "!=", "ops"), ["Delay 2"]),
            (Not(tag("team", "=", "ops")), ["Delay 2", "bare"]),
            (AllOf((tag("team", "=", "ops"), attribute("name", "!=", "fare"))), ["delay"]),
            (attribute("created_at", "<", 0), []),
        ]
        for where, names in cases:
            assert [one.name for one in stores.catalog.search(where=where).models] == names, where

    def test_models_are_paged_in_any_order(self, stores: Stores) -> None:
        names = [f"m{at:02}" for at in range(7)]
        for name in names:
            stores.catalog.create(name)
        for descending in (False, True):
            order = (OrderBy(Field("attribute", "name"), descending),)
            found: list[str] = []
            after: str | None = None
            while True:
                page = stores.catalog.search(order=order, limit=3, after=after)
                found += [one.name for one in page.models]
                after = page.after
                if after is None:
                    break
            assert found == sorted(names, reverse=descending)

    def test_versions_are_found(self, stores: Stores) -> None:
        stores.models.add_version(a_model(run="r1"), notes=VersionChange(source="s3://a/x"))
        stores.models.add_version(a_model(run="r2", tags={"k": "v"}), notes=VersionChange(stage="Staging"))
        stores.models.add_version(a_model("fare", run="r1"))
        cases: list[tuple[Any, list[tuple[str, int]]]] = [
            (None, [("delay", 2), ("delay", 1), ("fare", 1)]),
            (attribute("model", "=", "delay"), [("delay", 2), ("delay", 1)]),
            (attribute("version", ">=", 2), [("delay", 2)]),
            (attribute("run", "IN", ("r1", "r9")), [("delay", 1), ("fare", 1)]),
            (attribute("source", "LIKE", "s3://%"), [("delay", 1)]),
            (attribute("stage", "=", "Staging"), [("delay", 2)]),
            (tag("k", "=", "v"), [("delay", 2)]),
        ]
        for where, found in cases:
            page = stores.catalog.search_versions(where=where)
            assert [(one.model, one.version) for one in page.versions] == found, where
        by_number = (OrderBy(Field("attribute", "version")),)
        first = stores.catalog.search_versions(order=by_number, limit=2)
        assert [(one.model, one.version) for one in first.versions] == [("delay", 1), ("fare", 1)]
        second = stores.catalog.search_versions(order=by_number, limit=2, after=first.after)
        assert [(one.model, one.version) for one in second.versions] == [("delay", 2)]
        assert second.after is None

    def test_what_cannot_be_searched_is_refused(self, stores: Stores) -> None:
        for call in (
            lambda: stores.catalog.search(where=attribute("auc", "=", "1")),
            lambda: stores.catalog.search(where=Compare(Field("metric", "auc"), ">", 1)),
            lambda: stores.catalog.search(limit=-1),
            lambda: stores.catalog.search(after="x"),
            lambda: stores.catalog.search_versions(where=attribute("version", "LIKE", "1%")),
            lambda: stores.catalog.search_versions(order=(OrderBy(Field("param", "x")),)),
            lambda: stores.catalog.search_versions(limit=-1),
            lambda: stores.catalog.search_versions(after="x"),
        ):
            with pytest.raises(InvalidInput):
                call()


_names = st.sampled_from(["delay", "fare", "a//b"])
_tags = st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["1", "2"]), max_size=2)
_gone = st.sampled_from([(), ("a",)])
_numbers = st.integers(0, 4)
_stages = st.sampled_from([None, "None", "Staging", "Production", "Archived", "staging"])
_limits = st.integers(-1, 3)
_filters = st.sampled_from(
    [None, attribute("name", "LIKE", "d%"), tag("a", "=", "1"), Not(tag("b", "!=", "1")), attribute("x", "=", "1")]
)
_version_filters = st.sampled_from(
    [
        None,
        attribute("model", "=", "delay"),
        attribute("version", ">", 1),
        attribute("stage", "=", "Staging"),
        tag("a", "=", "1"),
    ]
)

MODEL_CATALOG_PLAYS: Plays = {
    "create": st.fixed_dictionaries({"name": _names}, optional={"description": st.just("x"), "tags": _tags}),
    "get": st.fixed_dictionaries({"name": _names}),
    "update": st.fixed_dictionaries(
        {
            "name": _names,
            "change": st.builds(
                RegisteredModelChange, description=st.sampled_from([None, "y"]), tags=_tags, remove_tags=_gone
            ),
        }
    ),
    "rename": st.fixed_dictionaries({"name": _names, "new_name": _names}),
    "delete": st.fixed_dictionaries({"name": _names}),
    "search": st.fixed_dictionaries({}, optional={"where": _filters, "limit": _limits}),
    "notes": st.fixed_dictionaries({"model": _names, "version": _numbers}),
    "newest_by_stage": st.fixed_dictionaries({"models": st.lists(_names, max_size=3)}),
    "annotate": st.fixed_dictionaries(
        {
            "model": _names,
            "version": _numbers,
            "change": st.builds(
                VersionChange, stage=_stages, tags=_tags, remove_tags=_gone, archive_others=st.booleans()
            ),
        }
    ),
    "delete_version": st.fixed_dictionaries({"model": _names, "version": _numbers}),
    "search_versions": st.fixed_dictionaries({}, optional={"where": _version_filters, "limit": _limits}),
}

SHELF_PLAYS: Plays = {
    **{f"catalog.{name}": play for name, play in MODEL_CATALOG_PLAYS.items()},
    "models.add_version": st.fixed_dictionaries({"draft": st.builds(a_model, _names, tags=_tags)}),
    "models.set_alias": st.fixed_dictionaries(
        {"model": _names, "alias": st.sampled_from(["champion", "shadow"]), "version": st.none() | _numbers}
    ),
    "models.versions": st.fixed_dictionaries({"model": _names}),
    "models.aliases": st.fixed_dictionaries({"model": _names}),
    "models.alias_history": st.fixed_dictionaries({"model": _names}),
    "models.models": st.fixed_dictionaries({}),
}
"""Operations of the catalog and of the model store, which share what they hold."""
