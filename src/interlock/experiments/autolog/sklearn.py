"""Record what scikit-learn fits: any estimator, pipeline or search, also of libraries built on it."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from interlock.experiments.autolog.model_files import ModelFiles, installed
from interlock.experiments.autolog.patching import Patches
from interlock.experiments.autolog.sessions import Options, Session, quietly, recorded, unrecorded
from interlock.experiments.pictures import as_array

NAME = "sklearn"
MODULES = ("sklearn.base", "sklearn.model_selection")
_OTHERS = ("xgboost", "lightgbm", "catboost", "sklearn.preprocessing", "sklearn.feature_extraction", "sklearn.utils")
_SCORED_ROWS = 10_000
_EXAMPLE_ROWS = 5


def patch(module: ModuleType, patches: Patches, options: Options) -> None:
    """Wrap `fit` of every estimator there is and will be; and cross-validation, which is one training of many fits."""
    if not hasattr(module, "BaseEstimator"):
        _patch_validation(module, patches, options)
        return

    def fit(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return record_fit(NAME, options, original, args, kwargs, files=_files)

    patches.wrap_family(module.BaseEstimator, "fit", fit, unless=_is_elsewhere)


def _patch_validation(module: ModuleType, patches: Patches, options: Options) -> None:
    validation = importlib.import_module("sklearn.model_selection._validation")

    def cross_validate(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        estimator = args[0] if args else kwargs.get("estimator")

        def before(session: Session) -> None:
            session.log_params({"estimator_class": type(estimator).__name__})
            session.log_params(_params_of(estimator))
            rows = args[1] if len(args) > 1 else kwargs.get("X")
            session.log_data(rows, args[2] if len(args) > 2 else kwargs.get("y"))

        def after(session: Session, scores: Mapping[str, Any]) -> None:
            for name in (name for name in scores if name.startswith(("test_", "train_"))):
                for fold, score in enumerate(scores[name]):
                    session.run.log_metric(f"fold_{name}", float(score), fold)
                session.run.log_metric(f"mean_{name}", float(scores[name].mean()))

        return recorded(
            NAME,
            options,
            title=lambda: f"cross-validation of {type(estimator).__name__}",
            train=lambda: original(*args, **kwargs),
            before=before,
            after=after,
        )

    def one_fold(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with unrecorded():
            return original(*args, **kwargs)

    for owner in (module, validation):
        patches.wrap(owner, "cross_validate", cross_validate)
    for owner in (validation, importlib.import_module("sklearn.model_selection._search")):
        patches.wrap(owner, "_fit_and_score", one_fold)
        patches.wrap(owner, "_fit_and_predict", one_fold)


def _is_elsewhere(cls: type) -> bool:
    """Say whether a class is recorded by a module of its own, or is a step that is no model."""
    return cls.__module__.startswith(_OTHERS)


def record_fit(
    framework: str, options: Options, original: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, files: Any
) -> Any:
    """Record one call of a method `fit(self, X, y=None, …)` of scikit-learn's kind."""
    estimator = args[0]
    rows = args[1] if len(args) > 1 else kwargs.get("X")
    target = args[2] if len(args) > 2 else kwargs.get("y")

    def before(session: Session) -> None:
        session.log_params({"estimator_class": type(estimator).__name__})
        session.log_params(_params_of(estimator))
        session.log_data(rows, target)

    def after(session: Session, _: Any) -> None:
        _log_search(session, estimator)
        _log_score(session, estimator, rows, target)
        session.log_model(lambda: files(estimator, rows))

    return recorded(
        framework,
        options,
        title=lambda: type(estimator).__name__,
        train=lambda: original(*args, **kwargs),
        before=before,
        after=after,
    )


def _params_of(estimator: Any) -> dict[str, Any]:
    """Return the parameters, those of parts by `part__param`, the parts themselves by the name of their class."""
    params: Mapping[str, Any] = estimator.get_params(deep=True)
    return {
        key: type(value).__name__ if hasattr(value, "get_params") else value
        for key, value in sorted(params.items())
        if not (isinstance(value, (list, tuple)) and any(isinstance(one, tuple) for one in value))
    }


def _log_search(session: Session, estimator: Any) -> None:
    results = getattr(estimator, "cv_results_", None)
    if not isinstance(results, Mapping):
        return
    with quietly(session.framework):
        session.run.log_table("search", {name: list(column) for name, column in results.items()})
    best = getattr(estimator, "best_params_", None)
    if best is not None:
        session.log_params(best, prefix="best_")
    score = getattr(estimator, "best_score_", None)
    if score is not None:
        session.run.log_metric("best_score", float(score))


def _log_score(session: Session, estimator: Any, rows: Any, target: Any) -> None:
    """Score at most 10,000 rows of the training data: to see how it fits must not take longer than the fit."""
    if target is None or not hasattr(estimator, "predict") or not hasattr(estimator, "score"):
        return
    with quietly(session.framework):
        some, answers = _head(rows, _SCORED_ROWS), _head(target, _SCORED_ROWS)
        session.run.log_metric("training_score", float(estimator.score(some, answers)))


def _head(rows: Any, count: int) -> Any:
    return rows.iloc[:count] if hasattr(rows, "iloc") else rows[:count]


def _files(estimator: Any, rows: Any) -> ModelFiles:
    """Write an estimator by skops where that is installed, which needs no trust to read, else by pickle."""
    data, name, serialization, trusted = _dumped(estimator)
    flavor: dict[str, Any] = {
        "pickled_model": name,
        "serialization_format": serialization,
        "sklearn_version": installed("scikit-learn"),
        "code": None,
    }
    if trusted:
        flavor["skops_trusted_types"] = trusted
    flavors: dict[str, dict[str, Any]] = {"sklearn": flavor}
    predict = None
    if hasattr(estimator, "predict"):
        function = {"loader_module": "mlflow.sklearn", "model_path": name, "predict_fn": "predict"}
        flavors["python_function"] = function

        def predict() -> Any:
            return as_array(estimator.predict(_head(rows, _EXAMPLE_ROWS)))

    needs = ("scikit-learn", "numpy", "scipy", "pandas", *(("skops",) if serialization == "skops" else ()))
    return ModelFiles({name: data}, flavors, needs, predict)


def _dumped(estimator: Any) -> tuple[bytes, str, str, list[str]]:
    try:
        io = importlib.import_module("skops.io")
    except ImportError:
        return pickle.dumps(estimator), "model.pkl", "pickle", []
    data = io.dumps(estimator)
    return data, "model.skops", "skops", list(io.get_untrusted_types(data=data))
