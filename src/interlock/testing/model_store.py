"""What every model store must do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from interlock.core.errors import Conflict, InvalidInput, NotFound
from interlock.core.hashing import digest_of
from interlock.core.schema import Column, Signature
from interlock.ports.journal import Edge
from interlock.ports.model_store import AliasMove, GateCheck, ModelVersion, PackageFile, Verdict
from interlock.ports.stores import Stores
from interlock.testing.contract import Contract
from interlock.testing.machine import Plays

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_model(model: str = "delay", **changes: Any) -> ModelVersion:
    """Return the draft of a model version."""
    fields: dict[str, Any] = {
        "model": model,
        "version": 0,
        "created_at": NOW,
        "files": (
            PackageFile("MLmodel", digest_of(b"flavors:"), 8),
            PackageFile("data/model.onnx", digest_of(b"x"), 1),
        ),
        "signature": Signature((Column("x", "double"),), (Column("p", "double"),)),
        "flavor": "sklearn",
        "engine": "onnx",
    }
    return ModelVersion(**fields | changes)


def a_verdict(verdict_id: str, candidate: str = "model:delay@1", **changes: Any) -> Verdict:
    """Return what a gate may say of a version."""
    fields: dict[str, Any] = {
        "id": verdict_id,
        "model": "delay",
        "candidate": candidate,
        "champion": None,
        "passed": True,
        "checks": (GateCheck("auc vs champion", True, 0.71, low=0.70, high=0.72, threshold=0.69),),
        "reason": "better",
        "data": "dataset:flights@3",
        "created_at": NOW,
    }
    return Verdict(**fields | changes)


class ModelStoreContract(Contract):
    """Registered models, aliases and verdicts."""

    def test_a_version_comes_back_as_registered(self, stores: Stores) -> None:
        draft = a_model(
            run="r1",
            metrics={"auc": 0.7},
            tags={"team": "ops"},
            card=digest_of(b"card"),
            example=digest_of(b"rows"),
            facts={"speedup": 41.5, "agrees": True},
        )
        version = stores.models.add_version(draft)
        assert version == msgspec.structs.replace(draft, version=1)
        assert version.ref == "model:delay@1"
        assert stores.models.get("delay") == version
        assert stores.models.find("delay", version=1) == version

    def test_registering_writes_an_event_and_edges(self, stores: Stores) -> None:
        stores.models.add_version(a_model(run="r1"), edges=[Edge("dataset:flights@3", "", "trained_on")])
        told = [(event.kind, event.subject) for event in stores.journal.events()]
        assert told == [("model.created", "model:delay"), ("model.registered", "model:delay@1")]
        assert sorted(stores.journal.walk("model:delay@1", direction="back")) == [
            Edge("dataset:flights@3", "model:delay@1", "trained_on"),
            Edge("run:r1", "model:delay@1", "produced"),
        ]

    def test_versions_count_up_without_gaps_under_parallel_adds(self, stores: Stores) -> None:
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda _: stores.models.add_version(a_model()).version, range(20)))
        assert sorted(made) == list(range(1, 21))
        assert [one.version for one in stores.models.versions("delay", limit=3)] == [20, 19, 18]
        assert [one.version for one in stores.models.versions("delay", before=3)] == [2, 1]

    def test_models_are_listed_by_name_each_at_its_newest(self, stores: Stores) -> None:
        for name in ("fare", "delay", "delay"):
            stores.models.add_version(a_model(name))
        assert [one.ref for one in stores.models.models()] == ["model:delay@2", "model:fare@1"]
        assert [one.ref for one in stores.models.models(after="delay", limit=5)] == ["model:fare@1"]

    @pytest.mark.parametrize(
        "changes",
        [
            {"model": "two\nlines"},
            {"model": "a/../b"},
            {"created_at": datetime(2026, 1, 1)},
            {"files": (PackageFile("../up", digest_of(b""), 0),)},
            {"files": (PackageFile("a", digest_of(b""), 0), PackageFile("a", digest_of(b""), 0))},
            {"files": (PackageFile("a", "abc", 0),)},
            {"files": (PackageFile("a", digest_of(b""), -1),)},
            {"signature": Signature((Column("x", "long"), Column("x", "long")), ())},
            {"tags": {"": "x"}},
            {"run": "no spaces"},
            {"facts": {"f": object()}},
        ],
    )
    def test_a_bad_draft_leaves_nothing(self, stores: Stores, changes: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput):
            stores.models.add_version(msgspec.structs.replace(a_model(), **changes))
        assert stores.models.models() == []
        assert stores.journal.events() == []

    def test_an_alias_points_moves_and_is_removed(self, stores: Stores) -> None:
        for _ in range(2):
            stores.models.add_version(a_model())
        first = stores.models.set_alias("delay", "champion", version=1, expect=0, reason="first", verdict="v1")
        assert first == AliasMove("delay", "champion", 1, None, first.time, "first", "v1")
        second = stores.models.set_alias("delay", "champion", version=2, expect=1)
        assert (second.version, second.previous) == (2, 1)
        assert stores.models.aliases("delay") == {"champion": 2}
        assert stores.models.get("delay", alias="champion").version == 2
        third = stores.models.set_alias("delay", "champion", version=None, expect=2, reason="broken")
        assert (third.version, third.previous) == (None, 2)
        assert stores.models.aliases("delay") == {}
        assert stores.models.find("delay", alias="champion") is None
        assert stores.models.alias_history("delay") == [third, second, first]

    def test_moving_an_alias_writes_an_event(self, stores: Stores) -> None:
        stores.models.add_version(a_model())
        stores.models.set_alias("delay", "champion", version=1, reason="best", verdict="v1")
        stores.models.set_alias("delay", "champion", version=None)
        moved, removed = stores.journal.events(kinds=["model.alias_set"])
        assert (moved.subject, removed.subject) == ("model:delay@1", "model:delay")
        assert moved.payload == {"alias": "champion", "version": 1, "previous": None, "reason": "best", "verdict": "v1"}

    def test_an_alias_that_moved_meanwhile_is_a_conflict(self, stores: Stores) -> None:
        for _ in range(2):
            stores.models.add_version(a_model())
        with pytest.raises(Conflict):
            stores.models.set_alias("delay", "champion", version=1, expect=1)
        stores.models.set_alias("delay", "champion", version=1)
        for wrong in (0, 2):
            with pytest.raises(Conflict):
                stores.models.set_alias("delay", "champion", version=2, expect=wrong)
        assert stores.models.aliases("delay") == {"champion": 1}
        assert len(stores.models.alias_history("delay")) == 1

    def test_of_parallel_moves_from_one_version_one_wins(self, stores: Stores) -> None:
        for _ in range(8):
            stores.models.add_version(a_model())

        def move(version: int) -> bool:
            try:
                stores.models.set_alias("delay", "champion", version=version, expect=0)
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(move, range(1, 9))) == 1

    def test_alias_history_of_one_alias(self, stores: Stores) -> None:
        stores.models.add_version(a_model())
        for alias in ("champion", "shadow", "champion"):
            stores.models.set_alias("delay", alias, version=1)
        assert [move.alias for move in stores.models.alias_history("delay", alias="champion")] == ["champion"] * 2
        assert len(stores.models.alias_history("delay", limit=1)) == 1

    @pytest.mark.parametrize("alias", ["7", "", "no spaces"])
    def test_an_alias_is_a_name_and_no_number(self, stores: Stores, alias: str) -> None:
        stores.models.add_version(a_model())
        with pytest.raises(InvalidInput):
            stores.models.set_alias("delay", alias, version=1)
        assert stores.models.aliases("delay") == {}

    def test_a_version_and_an_alias_together_are_refused(self, stores: Stores) -> None:
        stores.models.add_version(a_model())
        stores.models.set_alias("delay", "champion", version=1)
        for ask in (stores.models.get, stores.models.find):
            with pytest.raises(InvalidInput):
                ask("delay", version=1, alias="champion")

    def test_unknown_names(self, stores: Stores) -> None:
        stores.models.add_version(a_model())
        for call in (
            lambda: stores.models.get("fare"),
            lambda: stores.models.get("delay", version=2),
            lambda: stores.models.get("delay", alias="champion"),
            lambda: stores.models.get("fare", alias="champion"),
            lambda: stores.models.versions("fare"),
            lambda: stores.models.aliases("fare"),
            lambda: stores.models.alias_history("fare"),
            lambda: stores.models.set_alias("fare", "champion", version=1),
            lambda: stores.models.set_alias("fare", "champion", version=None),
            lambda: stores.models.set_alias("delay", "champion", version=2),
            lambda: stores.models.set_alias("delay", "champion", version=None),
            lambda: stores.models.add_verdict(a_verdict("v1", "model:delay@2")),
            lambda: stores.models.get_verdict("v1"),
        ):
            with pytest.raises(NotFound):
                call()
        assert stores.models.find("fare") is None
        assert stores.models.find("fare", alias="champion") is None
        assert stores.models.verdicts(model="fare") == []
        assert len(stores.journal.events()) == 2

    def test_verdicts_come_back_newest_first(self, stores: Stores) -> None:
        for _ in range(2):
            stores.models.add_version(a_model())
        stores.models.add_version(a_model("fare"))
        first = a_verdict("v1")
        second = a_verdict("v2", "model:delay@2", champion="model:delay@1", passed=False, reason="worse on EWR")
        other = a_verdict("v3", "model:fare@1", model="fare", data=None)
        assert [stores.models.add_verdict(one) for one in (first, second, other)] == [first, second, other]
        assert stores.models.get_verdict("v2") == second
        assert stores.models.verdicts() == [other, second, first]
        assert stores.models.verdicts(model="delay", limit=1) == [second]
        assert stores.models.verdicts(candidate="model:delay@1") == [first]
        assert stores.models.verdicts(model="fare", candidate="model:delay@1") == []

    def test_a_verdict_writes_an_event_and_edges(self, stores: Stores) -> None:
        stores.models.add_version(a_model())
        stores.models.add_verdict(a_verdict("v1"))
        stores.models.add_verdict(a_verdict("v2", passed=False, data=None))
        told = [(event.kind, event.subject) for event in stores.journal.events(kinds=["gate."])]
        assert told == [("gate.passed", "verdict:v1"), ("gate.refused", "verdict:v2")]
        assert sorted(stores.journal.walk("verdict:v1", direction="back", depth=1)) == [
            Edge("dataset:flights@3", "verdict:v1", "judged_in"),
            Edge("model:delay@1", "verdict:v1", "judged_in"),
        ]

    def test_a_verdict_is_given_once(self, stores: Stores) -> None:
        stores.models.add_version(a_model())
        stores.models.add_verdict(a_verdict("v1"))
        with pytest.raises(Conflict):
            stores.models.add_verdict(a_verdict("v1", passed=False))
        assert stores.models.get_verdict("v1").passed

    @pytest.mark.parametrize(
        "changes",
        [
            {"id": ""},
            {"candidate": "dataset:flights@1"},
            {"candidate": "model:delay@champion"},
            {"candidate": "model:fare@1"},
            {"created_at": datetime(2026, 1, 1)},
            {"data": ""},
        ],
    )
    def test_a_bad_verdict_leaves_nothing(self, stores: Stores, changes: dict[str, Any]) -> None:
        stores.models.add_version(a_model())
        with pytest.raises(InvalidInput):
            stores.models.add_verdict(msgspec.structs.replace(a_verdict("v1"), **changes))
        assert stores.models.verdicts() == []

    def test_a_negative_limit_is_refused(self, stores: Stores) -> None:
        stores.models.add_version(a_model())
        for call in (
            lambda: stores.models.versions("delay", limit=-1),
            lambda: stores.models.models(limit=-1),
            lambda: stores.models.alias_history("delay", limit=-1),
            lambda: stores.models.verdicts(limit=-1),
        ):
            with pytest.raises(InvalidInput):
                call()


_names = st.sampled_from(["delay", "fare", "no//good"])
_aliases = st.sampled_from(["champion", "shadow", "7"])
_versions = st.none() | st.integers(0, 3)
_limits = st.integers(-1, 3)
_asked = st.fixed_dictionaries({"model": _names}, optional={"version": _versions, "alias": st.none() | _aliases})

MODEL_STORE_PLAYS: Plays = {
    "add_version": st.fixed_dictionaries(
        {"draft": st.builds(a_model, _names, run=st.sampled_from([None, "r1"]))},
        optional={"edges": st.just([Edge("dataset:a@1", "", "trained_on")])},
    ),
    "get": _asked,
    "find": _asked,
    "versions": st.fixed_dictionaries({"model": _names}, optional={"before": _versions, "limit": _limits}),
    "models": st.fixed_dictionaries({}, optional={"after": st.sampled_from(["", "delay"]), "limit": _limits}),
    "set_alias": st.fixed_dictionaries(
        {"model": _names, "alias": _aliases, "version": _versions},
        optional={"expect": st.integers(0, 3), "reason": st.just("better"), "verdict": st.just("v1")},
    ),
    "aliases": st.fixed_dictionaries({"model": _names}),
    "alias_history": st.fixed_dictionaries(
        {"model": _names}, optional={"alias": st.none() | _aliases, "limit": _limits}
    ),
    "add_verdict": st.fixed_dictionaries(
        {
            "verdict": st.builds(
                a_verdict,
                st.sampled_from(["v1", "v2"]),
                st.sampled_from(["model:delay@1", "model:delay@2", "model:fare@1"]),
                passed=st.booleans(),
            )
        }
    ),
    "verdicts": st.fixed_dictionaries(
        {},
        optional={
            "model": st.none() | _names,
            "candidate": st.sampled_from([None, "model:delay@1"]),
            "limit": _limits,
        },
    ),
    "get_verdict": st.fixed_dictionaries({"verdict_id": st.sampled_from(["v1", "v2"])}),
}
