"""Record what LightGBM trains: round by round, with its importances."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from interlock.experiments.autolog.model_files import ModelFiles, installed
from interlock.experiments.autolog.patching import Patches
from interlock.experiments.autolog.sessions import Options, Session, quietly, recorded, session_of
from interlock.experiments.autolog.sklearn import record_fit
from interlock.experiments.pictures import as_array

NAME = "lightgbm"
MODULES = ("lightgbm",)
_MODEL = "model.lgb"


class _Recorder:
    """What LightGBM calls after every round."""

    order = 5
    before_iteration = False

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, env: Any) -> None:
        with quietly(NAME):
            values = {f"{data}-{metric}": float(value) for data, metric, value, *_ in env.evaluation_result_list or ()}
            self._session.run.log_metrics(values, step=env.iteration)


def patch(module: ModuleType, patches: Patches, options: Options) -> None:
    """Wrap `train`, wherever it is known by that name, and `fit` of the classes of scikit-learn's kind."""

    def train(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        inside = session_of(NAME)
        if inside is not None:
            return original(*args, **_with_callback(kwargs, inside))

        head: list[Any] = []

        def before(session: Session) -> None:
            session.log_params(dict(args[0] if args else kwargs.get("params", {})))
            session.log_params({"num_boost_round": args[2] if len(args) > 2 else kwargs.get("num_boost_round", 100)})
            dataset = args[1] if len(args) > 1 else kwargs.get("train_set")
            head.append(_head_of(dataset))
            _log_dataset(session, dataset)

        def run() -> Any:
            session = session_of(NAME)
            return original(*args, **(kwargs if session is None else _with_callback(kwargs, session)))

        def after(session: Session, booster: Any) -> None:
            log_booster(session, booster)
            session.log_model(lambda: _files(booster, head[0] if head else None))

        return recorded(NAME, options, title=lambda: "lightgbm", train=run, before=before, after=after)

    def fit(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return record_fit(NAME, options, original, args, kwargs, files=_files_of_estimator)

    for owner in (module, module.engine, module.sklearn):
        patches.wrap(owner, "train", train)
    patches.wrap_family(module.sklearn.LGBMModel, "fit", fit, unless=lambda cls: False)


def _with_callback(kwargs: dict[str, Any], session: Session) -> dict[str, Any]:
    return {**kwargs, "callbacks": [*(kwargs.get("callbacks") or ()), _Recorder(session)]}


def _head_of(dataset: Any) -> Any:
    """Return the first rows of a dataset, before they are freed; None of what is no table and no array."""
    rows: Any = getattr(dataset, "data", None)
    if not hasattr(rows, "shape"):
        return None
    return rows.iloc[:5] if hasattr(rows, "iloc") else rows[:5]


def _log_dataset(session: Session, dataset: Any) -> None:
    with quietly(NAME):
        # the data is freed once the trees' own form of it is made
        if dataset is not None and getattr(dataset, "data", None) is not None:
            session.log_data(dataset.data, dataset.label)


def log_booster(session: Session, booster: Any) -> None:
    """Log what is known of a trained booster: its best round, and how much each column counts."""
    with quietly(NAME):
        if booster.best_iteration > 0:
            session.run.log_metric("best_iteration", float(booster.best_iteration))
    with quietly(NAME):
        names, gains = booster.feature_name(), booster.feature_importance("gain")
        splits = booster.feature_importance("split")
        ranked = sorted(zip(names, gains.tolist(), splits.tolist(), strict=True), key=lambda row: -row[1])
        columns = zip(*ranked, strict=True)
        session.run.log_table("importance", dict(zip(("column", "gain", "splits"), map(list, columns), strict=True)))


def _files_of_estimator(estimator: Any, rows: Any) -> ModelFiles:
    session = session_of(NAME)
    if session is not None:
        log_booster(session, estimator.booster_)
    return _files(estimator.booster_, rows)


def _files(booster: Any, rows: Any) -> ModelFiles:
    flavor = {
        "lgb_version": installed("lightgbm"),
        "data": _MODEL,
        "model_class": "lightgbm.basic.Booster",
        "code": None,
    }
    predict = None
    if rows is not None:

        def predict() -> Any:
            return as_array(booster.predict(rows.iloc[:5] if hasattr(rows, "iloc") else rows[:5]))

    function = {"loader_module": "mlflow.lightgbm", "data": _MODEL}
    files = {_MODEL: booster.model_to_string().encode()}
    needs = ("lightgbm", "numpy", "pandas")
    return ModelFiles(files, {"lightgbm": flavor, "python_function": function}, needs, predict)
