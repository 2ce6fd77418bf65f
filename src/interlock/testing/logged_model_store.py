"""What every store of logged models must do."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from interlock.core.errors import Conflict, InvalidInput, NotFound
from interlock.ports.experiment_store import ExperimentChange
from interlock.ports.journal import Edge
from interlock.ports.logged_model_store import DatasetMeant, LoggedModel, LoggedModelChange, ModelMetric
from interlock.ports.search import Compare, Field, Not, Operator, OrderBy
from interlock.ports.stores import Stores
from interlock.testing.contract import Contract
from interlock.testing.machine import Plays, plain
from interlock.testing.model_store import NOW


def a_logged_model(model_id: str = "m-1", **changes: Any) -> LoggedModel:
    """Return a model that a run begins to log."""
    fields: dict[str, Any] = {
        "id": model_id,
        "experiment": "delay",
        "name": "trees",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return LoggedModel(**fields | changes)


def a_metric(key: str = "auc", value: float = 0.7, **changes: Any) -> ModelMetric:
    """Return one figure of a model."""
    fields: dict[str, Any] = {"key": key, "value": value, "step": 0.0, "time": 1_000_000}
    return ModelMetric(**fields | changes)


def condition(part: Any, key: str, operator: Operator, value: Any = None) -> Compare:
    """Return a condition on a field."""
    return Compare(Field(part, key), operator, value)


def told(stores: Stores) -> list[tuple[str, str]]:
    """Return kinds and subjects of the events about logged models."""
    return [(event.kind, event.subject) for event in stores.journal.events(kinds=["logged_model."])]


class LoggedModelStoreContract(Contract):
    """Logged models, one by one."""

    def test_a_model_comes_back_as_created(self, stores: Stores) -> None:
        model = a_logged_model(
            run="r1", kind="classifier", params={"depth": "3"}, tags={"team": "ops"}, updated_at=NOW + timedelta(1)
        )
        made = stores.logged_models.create(model)
        assert made == msgspec.structs.replace(model, updated_at=NOW)
        assert stores.logged_models.get("m-1") == made
        assert told(stores) == [("logged_model.created", "artifact:models/m-1")]
        assert stores.journal.walk("run:r1", direction="forward") == [Edge("run:r1", "artifact:models/m-1", "produced")]
        [event] = stores.journal.events(kinds=["logged_model."])
        assert event.payload == {"experiment": "delay", "name": "trees", "kind": "classifier", "run": "r1"}

    def test_its_experiment_is_created_if_need_be(self, stores: Stores) -> None:
        stores.logged_models.create(a_logged_model())
        found = stores.experiments.find("delay")
        assert found is not None
        stores.experiments.update(found.id, ExperimentChange(deleted=True))
        with pytest.raises(Conflict):
            stores.logged_models.create(a_logged_model("m-2"))
        assert stores.logged_models.get("m-1").experiment == "delay"

    def test_an_id_is_used_once(self, stores: Stores) -> None:
        stores.logged_models.create(a_logged_model(run="r1"))
        with pytest.raises(Conflict):
            stores.logged_models.create(a_logged_model(name="other"))
        assert stores.logged_models.get("m-1").name == "trees"
        assert len(told(stores)) == 1

    @pytest.mark.parametrize(
        "changes",
        [
            {"id": ""},
            {"id": "a b"},
            {"experiment": "a//b"},
            {"name": ""},
            {"name": "\0"},
            {"created_at": datetime(2026, 1, 1)},
            {"run": "no spaces"},
            {"kind": "\ud800"},
            {"status": "done"},
            {"params": {"": "x"}},
            {"tags": {"a": "\0"}},
            {"metrics": (a_metric(),)},
            {"deleted_at": NOW},
        ],
    )
    def test_what_cannot_begin_leaves_nothing(self, stores: Stores, changes: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput):
            stores.logged_models.create(a_logged_model(**changes))
        assert stores.logged_models.search().models == ()
        assert stores.journal.events() == []

    def test_unknown_ids(self, stores: Stores) -> None:
        calls: tuple[Callable[[], Any], ...] = (
            lambda: stores.logged_models.get("m-1"),
            lambda: stores.logged_models.update("m-1", LoggedModelChange(status="ready")),
            lambda: stores.logged_models.log_metrics("m-1", [a_metric()]),
        )
        for call in calls:
            with pytest.raises(NotFound):
                call()
        assert stores.logged_models.delete("m-1") is False

    def test_a_change_is_told_once(self, stores: Stores) -> None:
        before = stores.logged_models.create(a_logged_model(created_at=NOW - timedelta(1), tags={"a": "1", "b": "2"}))
        change = LoggedModelChange(
            status="ready", params={"depth": "3"}, tags={"b": "9", "c": "4"}, remove_tags=("a",), status_message="ok"
        )
        after = stores.logged_models.update("m-1", change)
        assert (after.status, after.status_message) == ("ready", "ok")
        assert (after.params, after.tags) == ({"depth": "3"}, {"b": "9", "c": "4"})
        assert after.updated_at > before.updated_at == before.created_at
        assert stores.logged_models.update("m-1", msgspec.structs.replace(change, remove_tags=())) == after
        assert stores.logged_models.get("m-1") == after
        stores.logged_models.update("m-1", LoggedModelChange(status="failed"))
        stores.logged_models.update("m-1", LoggedModelChange(status="pending"))
        kinds = [kind for kind, _ in told(stores)]
        assert kinds == ["logged_model.created", "logged_model.ready", "logged_model.failed"]

    def test_a_param_keeps_its_value(self, stores: Stores) -> None:
        before = stores.logged_models.create(a_logged_model(params={"depth": "3"}))
        with pytest.raises(Conflict):
            stores.logged_models.update("m-1", LoggedModelChange(params={"rate": "1", "depth": "4"}, status="ready"))
        assert stores.logged_models.get("m-1") == before
        assert stores.logged_models.update("m-1", LoggedModelChange(params={"depth": "3"})) == before

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            (LoggedModelChange(status="ready", remove_tags=("a",)), NotFound),
            (LoggedModelChange(status="ready", tags={"": "x"}), InvalidInput),
            (LoggedModelChange(status="ready", params={"a": "\0"}), InvalidInput),
            (LoggedModelChange(status="ready", status_message="\ud800"), InvalidInput),
            (LoggedModelChange(status="done"), InvalidInput),  # type: ignore[arg-type]
        ],
    )
    def test_a_bad_change_leaves_all_as_it_was(
        self, stores: Stores, change: LoggedModelChange, error: type[Exception]
    ) -> None:
        before = stores.logged_models.create(a_logged_model())
        with pytest.raises(error):
            stores.logged_models.update("m-1", change)
        assert stores.logged_models.get("m-1") == before

    def test_a_deleted_model_may_come_back(self, stores: Stores) -> None:
        stores.logged_models.create(a_logged_model(tags={"a": "1"}))
        deleted = stores.logged_models.update("m-1", LoggedModelChange(deleted=True))
        assert deleted.deleted_at == deleted.updated_at
        assert stores.logged_models.update("m-1", LoggedModelChange(deleted=True)) == deleted
        with pytest.raises(NotFound):
            stores.logged_models.get("m-1")
        with pytest.raises(NotFound):
            stores.logged_models.log_metrics("m-1", [a_metric()])
        with pytest.raises(Conflict):
            stores.logged_models.update("m-1", LoggedModelChange(tags={"b": "2"}))
        assert stores.logged_models.search().models == ()
        assert stores.logged_models.search(lifecycle="deleted").models == (deleted,)
        assert stores.logged_models.search(lifecycle="all").models == (deleted,)
        back = stores.logged_models.update("m-1", LoggedModelChange(deleted=False, tags={"b": "2"}))
        assert (back.deleted_at, back.tags) == (None, {"a": "1", "b": "2"})
        assert stores.logged_models.get("m-1") == back
        assert [kind for kind, _ in told(stores)] == ["logged_model.created", "logged_model.deleted"]

    def test_what_is_forgotten_is_gone(self, stores: Stores) -> None:
        stores.logged_models.create(a_logged_model(params={"a": "1"}, tags={"a": "1"}))
        stores.logged_models.log_metrics("m-1", [a_metric()])
        assert stores.logged_models.delete("m-1") is True
        assert stores.logged_models.search(lifecycle="all").models == ()
        again = stores.logged_models.create(a_logged_model())
        assert (again.params, again.tags, again.metrics) == ({}, {}, ())

    def test_models_follow_their_experiment(self, stores: Stores) -> None:
        stores.logged_models.create(a_logged_model())
        stores.logged_models.create(a_logged_model("m-2", experiment="other"))
        found = stores.experiments.find("delay")
        assert found is not None
        stores.experiments.update(found.id, ExperimentChange(name="late"))
        assert stores.logged_models.get("m-1").experiment == "late"
        assert [one.id for one in stores.logged_models.search(experiments=("late",)).models] == ["m-1"]
        stores.experiments.update(found.id, ExperimentChange(deleted=True))
        stores.experiments.delete(found.id)
        assert [one.id for one in stores.logged_models.search(lifecycle="all").models] == ["m-2"]

    def test_the_last_of_equal_metrics_counts(self, stores: Stores) -> None:
        stores.logged_models.create(a_logged_model())
        first = [
            a_metric(value=0.5, step=2.0),
            a_metric(value=0.9, step=1.0, time=9_000_000),
            a_metric(value=0.6, step=2.0),
            a_metric(value=0.8, run="r1"),
            a_metric(value=0.7, run="r1", dataset_name="train", dataset_digest="d1"),
            a_metric(value=0.4, run="r1", dataset_name="train", dataset_digest="d2"),
        ]
        stores.logged_models.log_metrics("m-1", first)
        stores.logged_models.log_metrics("m-1", first[:1])
        stores.logged_models.log_metrics("m-1", [a_metric("acc", 0.1), a_metric("acc", 0.1)])
        found = [(one.key, one.dataset_digest, one.run, one.value) for one in stores.logged_models.get("m-1").metrics]
        assert found == [
            ("acc", "", "", 0.1),
            ("auc", "", "", 0.6),
            ("auc", "", "r1", 0.8),
            ("auc", "d1", "r1", 0.7),
            ("auc", "d2", "r1", 0.4),
        ]

    def test_metrics_may_be_no_numbers(self, stores: Stores) -> None:
        stores.logged_models.create(a_logged_model())
        values = {"nan": math.nan, "inf": math.inf, "low": -math.inf, "tiny": 5e-324}
        stores.logged_models.log_metrics("m-1", [a_metric(key, value, step=-1.5) for key, value in values.items()])
        found = {one.key: one.value for one in stores.logged_models.get("m-1").metrics}
        assert plain(found) == plain(values)
        assert {one.step for one in stores.logged_models.get("m-1").metrics} == {-1.5}
        stores.logged_models.log_metrics(
            "m-1", [a_metric("nan", -9.0, step=-1.5), a_metric("inf", math.nan, step=-1.5)]
        )
        found = {one.key: one.value for one in stores.logged_models.get("m-1").metrics}
        assert (found["nan"], found["inf"]) == (-9.0, math.inf)

    @pytest.mark.parametrize(
        "bad",
        [
            a_metric(""),
            a_metric("a\0"),
            a_metric(step=math.nan),
            a_metric(step=math.inf),
            a_metric(time=2**63),
            a_metric(run="\ud800"),
            a_metric(dataset_name="\0"),
        ],
    )
    def test_one_bad_metric_refuses_all(self, stores: Stores, bad: ModelMetric) -> None:
        stores.logged_models.create(a_logged_model())
        with pytest.raises(InvalidInput):
            stores.logged_models.log_metrics("m-1", [a_metric("good"), bad])
        assert stores.logged_models.get("m-1").metrics == ()

    def test_parallel_writers_lose_nothing(self, stores: Stores) -> None:
        stores.logged_models.create(a_logged_model())

        def write(at: int) -> None:
            stores.logged_models.log_metrics("m-1", [a_metric(f"k{at}", float(at))])
            stores.logged_models.update("m-1", LoggedModelChange(tags={f"t{at}": str(at)}))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(24)))
        found = stores.logged_models.get("m-1")
        assert {one.key: one.value for one in found.metrics} == {f"k{at}": float(at) for at in range(24)}
        assert found.tags == {f"t{at}": str(at) for at in range(24)}


_ids = st.sampled_from(["m-1", "m-2", "a b"])
_texts = st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["1", "2"]), max_size=2)
_numbers = st.sampled_from([0.5, 1.0, math.nan, math.inf])
_filters = st.sampled_from(
    [
        None,
        condition("attribute", "status", "=", "ready"),
        condition("param", "a", "=", "1"),
        condition("tag", "b", "!=", "1"),
        condition("metric", "x", ">", 0.7),
        Not(condition("metric", "x", "=", 0.5)),
    ]
)
_orders = st.sampled_from(
    [
        (),
        (OrderBy(Field("metric", "x")),),
        (OrderBy(Field("metric", "x", dataset="d"), descending=True),),
        (OrderBy(Field("tag", "a")),),
        (OrderBy(Field("attribute", "updated_at"), descending=True),),
    ]
)

LOGGED_MODEL_STORE_PLAYS: Plays = {
    "create": st.fixed_dictionaries(
        {
            "model": st.builds(
                a_logged_model,
                _ids,
                experiment=st.sampled_from(["delay", "fare"]),
                run=st.sampled_from([None, "r1"]),
                params=_texts,
                tags=_texts,
            )
        }
    ),
    "get": st.fixed_dictionaries({"model_id": _ids}),
    "update": st.fixed_dictionaries(
        {
            "model_id": _ids,
            "change": st.builds(
                LoggedModelChange,
                status=st.sampled_from([None, "ready", "failed", "pending"]),
                params=_texts,
                tags=_texts,
                remove_tags=st.sampled_from([(), ("a",)]),
                deleted=st.sampled_from([None, None, True, False]),
            ),
        }
    ),
    "log_metrics": st.fixed_dictionaries(
        {
            "model_id": _ids,
            "metrics": st.lists(
                st.builds(
                    a_metric,
                    st.sampled_from(["x", "y"]),
                    _numbers,
                    step=st.sampled_from([0.0, 1.0]),
                    time=st.integers(0, 2),
                    dataset_name=st.sampled_from(["", "d"]),
                ),
                max_size=4,
            ),
        }
    ),
    "search": st.fixed_dictionaries(
        {},
        optional={
            "experiments": st.sampled_from([(), ("delay",)]),
            "where": _filters,
            "order": _orders,
            "datasets": st.sampled_from([(), (DatasetMeant("d"),)]),
            "lifecycle": st.sampled_from(["active", "deleted", "all"]),
            "limit": st.integers(-1, 2),
        },
    ),
    "delete": st.fixed_dictionaries({"model_id": _ids}),
}
