"""Ensembles and branches of registered versions answer as their members do, put together."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from interlock.core.errors import InvalidInput, NotFound, SchemaMismatch
from interlock.ports.journal import Edge
from interlock.registry.flavors.graphs import branch, ensemble
from interlock.registry.models import Models
from interlock.workspace import Workspace, open_workspace

FRAME = pd.DataFrame(np.random.default_rng(0).normal(size=(120, 3)), columns=["a", "b", "c"])
LATE = (FRAME.a + FRAME.b > 0).astype(int)


@lru_cache(maxsize=1)
def fitted() -> dict[str, Any]:
    return {
        "linear": LogisticRegression().fit(FRAME, LATE),
        "tree": DecisionTreeClassifier(max_depth=3, random_state=0).fit(FRAME[["a", "c"]], LATE),
        "number": LinearRegression().fit(FRAME[["a"]], FRAME.b),
    }


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with open_workspace(tmp_path_factory.mktemp("graphs") / "w") as opened:
        models = fitted()
        opened.registry.register("linear", models["linear"], example=FRAME)
        opened.registry.register("tree", models["tree"], example=FRAME[["a", "c"]])
        opened.registry.register("number", models["number"], example=FRAME[["a"]])
        yield opened


def said(workspace: Workspace, graph: Any, example: Any = None) -> dict[str, Any]:
    version = workspace.registry.register("graph", graph, example=example)
    predictor = workspace.load_model(version.ref).predictor
    columns = [FRAME[name].tolist() for name in version.signature.input_names]
    return predictor.predict(columns, rows=len(FRAME))


def shares() -> tuple[Any, Any]:
    models = fitted()
    return models["linear"].predict_proba(FRAME)[:, 1], models["tree"].predict_proba(FRAME[["a", "c"]])[:, 1]


def test_a_mean_is_the_mean(workspace: Workspace) -> None:
    one, two = shares()
    answer = said(workspace, ensemble("model:linear", "model:tree"))
    assert answer["probability"].tolist() == pytest.approx(((one + two) / 2).tolist(), abs=1e-5)
    assert answer["label"].tolist() == ((one + two) / 2 > 0.5).astype(int).tolist()


def test_weights_votes_and_medians(workspace: Workspace) -> None:
    one, two = shares()
    answer = said(workspace, ensemble("linear", "tree", weights=[3, 1]))
    assert answer["probability"].tolist() == pytest.approx(((3 * one + two) / 4).tolist(), abs=1e-5)
    voted = said(workspace, ensemble("linear", "linear", "tree", combine="vote"))
    assert set(voted) == {"label"}
    assert voted["label"].tolist() == (one > 0.5).astype(int).tolist()
    assert "probability" in said(workspace, ensemble("linear", "tree", combine="median"))


def test_a_branch_asks_one_or_the_other(workspace: Workspace) -> None:
    one, two = shares()
    answer = said(workspace, branch("a > 0.5", then="linear", otherwise=ensemble("tree", "tree")))
    expected = np.where(FRAME.a > 0.5, one, two)
    assert answer["probability"].tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_function_combines(workspace: Workspace) -> None:
    def spread(answers: list[dict[str, list[Any]]]) -> Any:
        one, two = (answer["probability"] for answer in answers)
        return {"spread": [abs(x - y) for x, y in zip(one, two, strict=True)]}

    one, two = shares()
    inner = ensemble("linear", "tree", combine=spread)
    answer = said(workspace, branch("a > 0", then=inner, otherwise=inner))
    assert answer["spread"].tolist() == pytest.approx(abs(one - two).tolist(), abs=1e-5)


def test_members_are_pinned_and_linked(workspace: Workspace) -> None:
    version = workspace.registry.register("graph", ensemble("model:linear@1", "model:tree"))
    assert version.facts["members"] == ["model:linear@1", "model:tree@1"]
    edges = workspace.stores.journal.walk(version.ref, direction="back")
    assert Edge("model:linear@1", version.ref, "member_of") in edges
    assert version.engine == "graph"
    assert workspace.load_model(version.ref).is_quick
    assert "mean of linear@1, tree@1" in workspace.registry.card(version)


def test_graphs_may_be_members_of_graphs(workspace: Workspace) -> None:
    workspace.registry.register("inner", ensemble("linear", "tree"))
    answer = said(workspace, ensemble("inner", "linear"))
    one, two = shares()
    assert answer["probability"].tolist() == pytest.approx((((one + two) / 2 + one) / 2).tolist(), abs=1e-5)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: ensemble(), InvalidInput, "no members"),
        (lambda: ensemble("linear", weights=[1, 2]), InvalidInput, "do not fit 1 members"),
        (lambda: ensemble("linear", weights=[0]), InvalidInput, "do not fit"),
        (lambda: ensemble("linear", "tree", combine="mode"), InvalidInput, "cannot be combined by 'mode'"),
        (lambda: ensemble("linear", combine="median", weights=[1]), InvalidInput, "with weights"),
        (lambda: ensemble("linear", combine=max, weights=[1]), InvalidInput, "takes no weights"),
        (lambda: ensemble("dataset:x"), InvalidInput, "dataset"),
        (lambda: branch("a >", then="linear", otherwise="tree"), InvalidInput, "cannot be read"),
        (lambda: branch("a > b", then="linear", otherwise="tree"), InvalidInput, "cannot be read"),
        (lambda: branch(("a", "~", 1), then="linear", otherwise="tree"), InvalidInput, "compares nothing"),
        (lambda: branch("zz > 1", then="linear", otherwise="tree"), SchemaMismatch, "no member takes"),
        (lambda: branch("a > 1", then="linear", otherwise="number"), SchemaMismatch, "different answers"),
        (lambda: ensemble("linear", "number"), SchemaMismatch, "cannot be put together"),
        (lambda: ensemble("nowhere", "tree"), NotFound, "no model 'nowhere'"),
    ],
)
def test_what_is_no_graph_is_told(workspace: Workspace, make: Any, error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        workspace.registry.register("bad", make())
    assert workspace.stores.models.find("bad") is None


def test_members_must_take_the_same_types(workspace: Workspace) -> None:
    workspace.registry.register("texts", lambda row: {"label": len(row["a"])}, example=[{"a": "x"}])
    with pytest.raises(SchemaMismatch, match="column 'a' is double for model:linear@. and string for model:texts@."):
        workspace.registry.register("graph", ensemble("linear", "texts", combine="vote"))


def test_members_must_give_labels_of_the_same_type(workspace: Workspace) -> None:
    workspace.registry.register("texts", lambda row: {"label": "late"}, example=[{"a": 1.0}])
    with pytest.raises(SchemaMismatch, match="labels are of different types"):
        workspace.registry.register("graph", ensemble("linear", "texts", combine="vote"))


def test_a_graph_needs_rows_with_all_columns(workspace: Workspace) -> None:
    workspace.registry.register("other", lambda row: {"label": 1}, example=[{"z": 1.0}])
    graph = ensemble("linear", "other", combine="vote")
    with pytest.raises(InvalidInput, match="no example"):
        workspace.registry.register("graph", graph)
    with pytest.raises(SchemaMismatch, match="lacks the column 'z'"):
        workspace.registry.register("graph", graph, example=FRAME)
    assert workspace.registry.register("graph", graph, example=FRAME.assign(z=1.0)).engine == "graph"


def test_models_of_tensors_are_no_members(workspace: Workspace) -> None:
    workspace.registry.register("image", lambda images: images.sum(axis=(1, 2)), example=np.ones((2, 3, 3)))
    with pytest.raises(InvalidInput, match="takes tensors"):
        workspace.registry.register("graph", ensemble("image"))


def test_a_graph_needs_a_registry_that_knows_its_members() -> None:
    assert repr(branch("c in ['x', 'y']", then="a", otherwise="b")) == "a if c in ['x', 'y'], else b"
    assert repr(ensemble("a", branch(("c d", "==", 1), then="a", otherwise="b"), weights=[1, 2])) == (
        "weighted mean of a, (a if c d == 1, else b)"
    )
    assert Models.register.__doc__
