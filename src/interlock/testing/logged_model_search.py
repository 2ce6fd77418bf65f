"""What every store of logged models must find."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from interlock.core.errors import InvalidInput
from interlock.ports.logged_model_store import DatasetMeant
from interlock.ports.search import AllOf, AnyOf, Compare, Field, Not, OrderBy
from interlock.ports.stores import Stores
from interlock.testing.contract import Contract
from interlock.testing.logged_model_store import a_logged_model, a_metric, condition
from interlock.testing.model_store import NOW


class LoggedModelSearchContract(Contract):
    """Searches of logged models."""

    def fill(self, stores: Stores) -> None:
        """Log four models, the newest first in the alphabet."""
        store = stores.logged_models
        models: dict[str, dict[str, Any]] = {
            "m-d": {"run": "r1", "params": {"depth": "3"}, "status": "ready"},
            "m-c": {"run": "r2", "params": {"depth": "5"}, "tags": {"team": "ops"}},
            "m-b": {"name": "Linear", "kind": "regressor", "experiment": "fare"},
            "m-a": {"name": "none", "tags": {"team": "lab"}},
        }
        for at, (model_id, changes) in enumerate(models.items()):
            store.create(a_logged_model(model_id, created_at=NOW + timedelta(seconds=at), **changes))
        on = {"dataset_name": "train", "dataset_digest": "d1"}
        other = {"dataset_name": "test", "dataset_digest": "d2"}
        store.log_metrics("m-d", [a_metric(value=0.9, time=1, **on), a_metric(value=0.5, time=2, **other)])
        store.log_metrics("m-c", [a_metric(value=0.6, time=1, **on), a_metric(value=0.8, time=2, **other)])
        store.log_metrics("m-b", [a_metric(value=math.nan)])

    def test_models_are_found(self, stores: Stores) -> None:
        self.fill(stores)
        cases: list[tuple[Any, str]] = [
            (None, "abcd"),
            (condition("attribute", "name", "=", "trees"), "cd"),
            (condition("attribute", "name", "ILIKE", "lin%"), "b"),
            (condition("attribute", "status", "=", "ready"), "d"),
            (condition("attribute", "kind", "!=", "regressor"), "acd"),
            (condition("attribute", "run", "IN", ("r1", "r2")), "cd"),
            (condition("attribute", "run", "IS NULL"), "ab"),
            (condition("attribute", "id", "=", "m-b"), "b"),
            (condition("param", "depth", "=", "5"), "c"),
            (condition("tag", "team", "!=", "ops"), "a"),
            (condition("metric", "auc", ">", 0.7), "cd"),
            (condition("metric", "auc", "<", 0.55), "d"),
            (condition("metric", "auc", "!=", 0.9), "bcd"),
            (condition("metric", "auc", "IS NULL"), "a"),
            (Not(condition("metric", "auc", ">", 0.7)), "ab"),
            (AnyOf((condition("tag", "team", "=", "lab"), condition("param", "depth", "=", "3"))), "ad"),
            (AllOf((condition("metric", "auc", ">", 0.7), condition("param", "depth", "=", "3"))), "d"),
        ]
        for where, ids in cases:
            found = stores.logged_models.search(where=where).models
            assert "".join(one.id[-1] for one in found) == ids, where
        assert [one.id for one in stores.logged_models.search(experiments=("fare", "gone")).models] == ["m-b"]
        assert stores.logged_models.search(experiments=("gone",)).models == ()

    def test_datasets_say_which_metrics_are_meant(self, stores: Stores) -> None:
        self.fill(stores)
        train, test = DatasetMeant("train", "d1"), DatasetMeant("test")
        cases: list[tuple[tuple[DatasetMeant, ...], Any, str]] = [
            ((train,), None, "cd"),
            ((DatasetMeant("train", "d9"),), None, ""),
            ((train,), condition("metric", "auc", ">", 0.7), "d"),
            ((test,), condition("metric", "auc", ">", 0.7), "c"),
            ((train, test), condition("metric", "auc", ">", 0.7), "cd"),
            ((test,), condition("metric", "auc", "IS NULL"), "ab"),
            ((train,), condition("param", "depth", "=", "5"), "c"),
            ((), Compare(Field("metric", "auc", dataset="test"), ">", 0.7), "c"),
            ((train,), Compare(Field("metric", "auc", dataset="test", digest="d2"), ">", 0.7), "c"),
        ]
        for datasets, where, ids in cases:
            found = stores.logged_models.search(where=where, datasets=datasets).models
            assert "".join(one.id[-1] for one in found) == ids, (datasets, where)

    def test_models_are_ordered_and_paged(self, stores: Stores) -> None:
        self.fill(stores)
        auc = Field("metric", "auc")
        cases: list[tuple[tuple[OrderBy, ...], str]] = [
            ((), "abcd"),
            ((OrderBy(Field("attribute", "created_at")),), "dcba"),
            ((OrderBy(Field("attribute", "name")),), "bacd"),
            ((OrderBy(auc),), "dcba"),
            ((OrderBy(auc, descending=True),), "cdba"),
            ((OrderBy(msgspec.structs.replace(auc, dataset="train"), descending=True),), "dcab"),
            ((OrderBy(Field("param", "depth"), descending=True),), "cdab"),
            ((OrderBy(Field("tag", "team")), OrderBy(Field("attribute", "id"), descending=True)), "acdb"),
        ]
        for order, ids in cases:
            for limit in (1, 3, 10):
                found: list[str] = []
                after: str | None = None
                while True:
                    page = stores.logged_models.search(order=order, limit=limit, after=after)
                    found += [one.id[-1] for one in page.models]
                    after = page.after
                    if after is None:
                        break
                assert "".join(found) == ids, (order, limit)

    def test_what_cannot_be_searched_is_refused(self, stores: Stores) -> None:
        calls: tuple[Callable[[], Any], ...] = (
            lambda: stores.logged_models.search(where=condition("attribute", "color", "=", "x")),
            lambda: stores.logged_models.search(where=condition("dataset", "name", "=", "x")),
            lambda: stores.logged_models.search(where=Compare(Field("metric", "auc", "max"), ">", 1)),
            lambda: stores.logged_models.search(order=(OrderBy(Field("metric", "auc", "min")),)),
            lambda: stores.logged_models.search(limit=-1),
            lambda: stores.logged_models.search(after="x"),
        )
        for call in calls:
            with pytest.raises(InvalidInput):
                call()
