"""What MLflow's clients search by is turned to what the stores know."""

from __future__ import annotations

import pytest

from interlock.ports.search import AllOf, AnyOf, Compare, Field, Filter, Not
from interlock.server.mlflow.search import shown_as_tags

NAME = Field("attribute", "name")
PARENT_TAG = Field("tag", "mlflow.parentRunId")
PARENT = Field("attribute", "parent")
HAS_ID = Compare(Field("attribute", "id"), "!=", "")


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        (Compare(Field("tag", "mlflow.runName"), "LIKE", "a%"), Compare(NAME, "LIKE", "a%")),
        (Compare(Field("tag", "mlflow.runName"), "IS NOT NULL"), HAS_ID),
        (Compare(Field("tag", "mlflow.runName"), "IS NULL"), Not(HAS_ID)),
        (Compare(PARENT_TAG, "=", "r"), AnyOf((Compare(PARENT_TAG, "=", "r"), Compare(PARENT, "=", "r")))),
        (Compare(PARENT_TAG, "IS NULL"), AllOf((Compare(PARENT_TAG, "IS NULL"), Compare(PARENT, "IS NULL")))),
        (Compare(Field("tag", "team"), "=", "x"), Compare(Field("tag", "team"), "=", "x")),
        (Compare(Field("metric", "mlflow.runName"), ">", 1), Compare(Field("metric", "mlflow.runName"), ">", 1)),
        (None, None),
    ],
)
def test_tags_that_are_shown_can_be_searched(asked: Filter | None, meant: Filter | None) -> None:
    assert shown_as_tags(asked) == meant


def test_the_whole_condition_is_looked_through() -> None:
    inner = Compare(Field("tag", "mlflow.runName"), "=", "x")
    turned = Compare(NAME, "=", "x")
    assert shown_as_tags(AnyOf((Not(inner), AllOf((inner, inner))))) == AnyOf((Not(turned), AllOf((turned, turned))))
