"""Record what XGBoost trains: round by round, with its importances."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from interlock.experiments.autolog.model_files import ModelFiles, installed, written
from interlock.experiments.autolog.patching import Patches
from interlock.experiments.autolog.sessions import Options, Session, quietly, recorded, session_of
from interlock.experiments.autolog.sklearn import record_fit
from interlock.experiments.pictures import as_array

NAME = "xgboost"
MODULES = ("xgboost",)
_MODEL = "model.ubj"
_EXAMPLE_ROWS = 5


def patch(module: ModuleType, patches: Patches, options: Options) -> None:
    """Wrap `train`, wherever it is known by that name, and `fit` of the classes of scikit-learn's kind."""
    recorder = _callback_class(module)

    def train(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        inside = session_of(NAME)
        if inside is not None:
            return original(*args, **_with_callback(kwargs, recorder(inside)))

        def before(session: Session) -> None:
            params = args[0] if args else kwargs.get("params", {})
            session.log_params(dict(params))
            session.log_params({"num_boost_round": args[2] if len(args) > 2 else kwargs.get("num_boost_round", 10)})
            _log_matrix(session, args[1] if len(args) > 1 else kwargs.get("dtrain"))

        def run() -> Any:
            session = session_of(NAME)
            given = kwargs if session is None else _with_callback(kwargs, recorder(session))
            return original(*args, **given)

        def after(session: Session, booster: Any) -> None:
            log_booster(session, booster)
            matrix = args[1] if len(args) > 1 else kwargs.get("dtrain")
            session.log_model(lambda: _files(booster, "xgboost.core.Booster", _head_of(matrix)))

        return recorded(NAME, options, title=lambda: "xgboost", train=run, before=before, after=after)

    def fit(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return record_fit(NAME, options, original, args, kwargs, files=_files_of_estimator)

    for owner in (module, module.training, module.sklearn):
        patches.wrap(owner, "train", train)
    patches.wrap_family(module.sklearn.XGBModel, "fit", fit, unless=lambda cls: False)


def _callback_class(module: ModuleType) -> Any:
    """Make the class that XGBoost calls after every round."""

    class Recorder(module.callback.TrainingCallback):  # type: ignore[misc, name-defined]
        def __init__(self, session: Session) -> None:
            self._session = session

        def after_iteration(self, model: Any, epoch: int, evals_log: Mapping[str, Any]) -> bool:
            with quietly(NAME):
                self._session.run.log_metrics(_newest(evals_log), step=epoch)
            return False

    return Recorder


def _newest(evals_log: Mapping[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    for data, metrics in evals_log.items():
        for metric, values in metrics.items():
            newest = values[-1]
            # of a cross-validation each value comes with its deviation
            found[f"{data}-{metric}"] = float(newest[0] if isinstance(newest, tuple) else newest)
    return found


def _with_callback(kwargs: dict[str, Any], callback: Any) -> dict[str, Any]:
    return {**kwargs, "callbacks": [*(kwargs.get("callbacks") or ()), callback]}


def _log_matrix(session: Session, matrix: Any) -> None:
    with quietly(NAME):
        session.log_params({"rows": int(matrix.num_row()), "columns": int(matrix.num_col())})
        if matrix.num_row() * matrix.num_col() * 4 <= 1 << 28:
            session.log_data(matrix.get_data(), matrix.get_label())


def log_booster(session: Session, booster: Any) -> None:
    """Log what is known of a trained booster: its best round, and how much each column counts."""
    with quietly(NAME):
        best = getattr(booster, "best_iteration", None)
        if best is not None and booster.attr("best_iteration") is not None:
            session.run.log_metric("best_iteration", float(best))
            session.run.log_metric("best_score", float(booster.best_score))
    with quietly(NAME):
        gains = booster.get_score(importance_type="gain")
        weights = booster.get_score(importance_type="weight")
        ranked = sorted(gains.items(), key=lambda item: item[1] if isinstance(item[1], float) else 0, reverse=True)
        if ranked:
            names = [name for name, _ in ranked]
            table = {"column": names, "gain": [gain for _, gain in ranked], "splits": [weights[name] for name in names]}
            session.run.log_table("importance", table)


def _files_of_estimator(estimator: Any, rows: Any) -> ModelFiles:
    session = session_of(NAME)
    booster = estimator.get_booster()
    if session is not None:
        log_booster(session, booster)
    kind = type(estimator)
    return _files(estimator, f"{kind.__module__}.{kind.__qualname__}", rows)


def _head_of(matrix: Any) -> Any:
    """Return the first rows of a matrix; None of one that holds no more than what the trees need."""
    if type(matrix).__name__ != "DMatrix" or not matrix.num_row():
        return None
    return matrix.slice(range(min(_EXAMPLE_ROWS, matrix.num_row())))


def _head(rows: Any) -> Any:
    if hasattr(rows, "num_row"):
        return rows
    return rows.iloc[:_EXAMPLE_ROWS] if hasattr(rows, "iloc") else rows[:_EXAMPLE_ROWS]


def _files(model: Any, model_class: str, rows: Any) -> ModelFiles:
    flavor = {
        "xgb_version": installed("xgboost"),
        "data": _MODEL,
        "model_class": model_class,
        "model_format": "ubj",
        "code": None,
    }
    predict = None
    if rows is not None:

        def predict() -> Any:
            return as_array(model.predict(_head(rows)))

    function = {"loader_module": "mlflow.xgboost", "data": _MODEL}
    files = {_MODEL: written(model.save_model, _MODEL)}
    return ModelFiles(files, {"xgboost": flavor, "python_function": function}, ("xgboost", "numpy", "pandas"), predict)
