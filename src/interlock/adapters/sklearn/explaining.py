"""Say exactly what each input column contributed, for scikit-learn's trees, ensembles of trees, and linear models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from interlock.adapters.sklearn.column_sources import sources
from interlock.adapters.sklearn.tree_contributions import Ensemble, Tree
from interlock.ports.explanation import Explanation, Space

_TREES = "exact Shapley values of trees (path-dependent)"
_LINEAR = "exact Shapley values of a linear model (against the mean of the example rows)"
_FORESTS = frozenset({"ExtraTreesClassifier", "ExtraTreesRegressor", "RandomForestClassifier", "RandomForestRegressor"})
_SINGLE = frozenset({"DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor"})
_BOOSTED = frozenset({"GradientBoostingClassifier", "GradientBoostingRegressor"})
_BINNED = frozenset({"HistGradientBoostingClassifier", "HistGradientBoostingRegressor"})
_LOGISTIC = frozenset({"LogisticRegression", "LogisticRegressionCV"})
_LINEAR_SCORES = frozenset({"LinearSVC", "RidgeClassifier", "RidgeClassifierCV", "SGDClassifier", "Perceptron"})
_LINEAR_VALUES = frozenset(
    {
        "ElasticNet",
        "ElasticNetCV",
        "HuberRegressor",
        "Lars",
        "Lasso",
        "LassoCV",
        "LassoLars",
        "LinearRegression",
        "LinearSVR",
        "Ridge",
        "RidgeCV",
        "SGDRegressor",
        "BayesianRidge",
    }
)


class SklearnExplainer:
    """Explains one fitted estimator.

    Args:
        model: The estimator, alone or at the end of a Pipeline.
        names: The outputs of its signature.
        columns: How many input columns it takes.

    Attributes:
        is_exact: Whether there is an exact way for it; only then may it be asked.
    """

    def __init__(self, model: Any, names: Sequence[str], *, columns: int) -> None:
        steps = [step for _, step in model.steps] if hasattr(model, "steps") else [model]
        self._model = model
        self._final = steps[-1]
        self._before = model[:-1] if len(steps) > 1 else None
        self._sources = sources(self._before, columns) if self._before is not None else list(range(columns))
        self._columns = columns
        self._kind = type(self._final).__name__
        self._outputs = _outputs(self._final, self._kind, names)
        self._ensemble: Ensemble | None = None
        self._single_precision = self._kind not in _BINNED
        self._offset: Any = None
        self.is_exact = self._sources is not None and bool(self._outputs) and self._prepare()

    def explain(self, frame: Any, background: Any) -> Explanation:
        """Return the contributions of some rows.

        Args:
            frame: The rows, as the estimator takes them.
            background: Rows as it was trained on.
        """
        features = self._features(frame)
        values = self._said(frame)
        if self._ensemble is None:
            base, found = self._linear(features, self._features(background))
        else:
            found = self._ensemble.contributions(self._as_trained(features))
            if self._offset is None:
                self._offset = self._beside_trees(background)
            base = self._ensemble.base + self._offset
        contributions = np.zeros((*found.shape[:2], self._columns))
        for feature, source in enumerate(self._sources or ()):
            contributions[:, :, source] += found[:, :, feature]
        method = _LINEAR if self._ensemble is None else _TREES
        return Explanation(self._outputs, self._space(), method, base, values, contributions)

    def _features(self, frame: Any) -> Any:
        made = self._before.transform(frame) if self._before is not None else frame
        made = made.toarray() if hasattr(made, "toarray") else made
        if hasattr(made, "to_pandas"):
            # an Arrow table that goes straight to the model
            made = np.column_stack([column.to_numpy() for column in made.columns])
        return np.asarray(made, np.float64)

    def _prepare(self) -> bool:
        """Take the trees out of the model; return whether it is of a kind that can be explained exactly."""
        if self._kind in _LOGISTIC | _LINEAR_SCORES | _LINEAR_VALUES:
            return bool(np.ndim(self._final.coef_) <= 2)
        trees = _trees_of(self._final, self._kind)
        if not trees:
            return False
        width = int(self._final.n_features_in_)
        self._ensemble = Ensemble(trees, features=width)
        return True

    def _beside_trees(self, background: Any) -> Any:
        """Return what the model adds to its trees: the same for every row, so that one example row tells it.

        The rows that are explained are held against what the model says of them, not of this one.
        """
        assert self._ensemble is not None
        features = self._as_trained(self._features(background)[:1])
        of_trees = self._ensemble.base + self._ensemble.contributions(features).sum(axis=2)[0]
        return self._said(background)[0] - of_trees

    def _as_trained(self, features: Any) -> Any:
        return features.astype(np.float32) if self._single_precision else features

    def _said(self, frame: Any) -> Any:
        """Return what the model itself says of rows, in the space of the contributions; shape (rows, outputs)."""
        space = self._space()
        if space == "probability":
            return np.asarray(self._model.predict_proba(frame), np.float64)[:, -len(self._outputs) :]
        ask = self._model.predict if space == "value" else self._model.decision_function
        said = np.asarray(ask(frame), np.float64)
        return said.reshape(len(said), -1)

    def _space(self) -> Space:
        if not hasattr(self._final, "classes_"):
            return "value"
        if self._kind in _FORESTS | _SINGLE:
            return "probability"
        return "score" if self._kind in _LINEAR_SCORES else "log-odds"

    def _linear(self, features: Any, background: Any) -> tuple[Any, Any]:
        weights = np.atleast_2d(np.asarray(self._final.coef_, np.float64))
        means = background.mean(axis=0)
        found = (features - means)[:, None, :] * weights[None]
        return weights @ means + np.ravel(self._final.intercept_), found


def _outputs(final: Any, kind: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of what is explained: of two classes the second, else all of them, or the one value."""
    if not hasattr(final, "classes_"):
        return tuple(names) if len(names) == 1 else ()
    shares = tuple(name for name in names if name.startswith(("probability", "score")))
    classes = len(final.classes_)
    if len(shares) == (1 if classes == 2 else classes):
        return shares
    return ()


def _trees_of(final: Any, kind: str) -> list[Tree]:
    """Return the trees of a model, each with what it adds to the answer; none where they cannot be had."""
    if kind in _SINGLE | _FORESTS:
        members = [final] if kind in _SINGLE else final.estimators_
        if getattr(final, "n_outputs_", 1) != 1:
            return []
        of_two = hasattr(final, "classes_") and len(final.classes_) == 2
        return [_tree(one.tree_, one.tree_.value[:, 0, 1 if of_two else 0 :] / len(members)) for one in members]
    if kind in _BOOSTED:
        if final.init_ != "zero" and type(final.init_).__name__ not in ("DummyClassifier", "DummyRegressor"):
            return []
        outputs = final.estimators_.shape[1]
        return [
            _tree(one.tree_, _in_place(one.tree_.value[:, 0, 0] * final.learning_rate, place, outputs))
            for stage in final.estimators_
            for place, one in enumerate(stage)
        ]
    if kind in _BINNED and getattr(final, "is_categorical_", None) is None:
        # a loss with a link of its own turns the sum into something else
        if getattr(final, "loss", "log_loss") in ("poisson", "gamma"):
            return []
        outputs = final.n_trees_per_iteration_
        return [
            _binned_tree(one.nodes, place, outputs) for stage in final._predictors for place, one in enumerate(stage)
        ]
    return []


def _in_place(values: Any, place: int, outputs: int) -> Any:
    table = np.zeros((len(values), outputs))
    table[:, place] = values
    return table


def _tree(tree: Any, value: Any) -> Tree:
    return Tree(
        left=tree.children_left,
        right=tree.children_right,
        feature=tree.feature,
        threshold=tree.threshold,
        missing_left=tree.missing_go_to_left,
        cover=tree.weighted_n_node_samples,
        value=value,
    )


def _binned_tree(nodes: Any, place: int, outputs: int) -> Tree:
    is_leaf = nodes["is_leaf"].astype(bool)
    return Tree(
        left=np.where(is_leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(is_leaf, -1, nodes["right"].astype(np.int64)),
        feature=nodes["feature_idx"],
        threshold=nodes["num_threshold"],
        missing_left=nodes["missing_go_to_left"],
        cover=nodes["count"],
        value=_in_place(nodes["value"], place, outputs),
    )
