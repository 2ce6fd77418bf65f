"""Record what CatBoost trains: round by round, with its importances."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from interlock.experiments.autolog.model_files import ModelFiles, installed, written
from interlock.experiments.autolog.patching import Patches
from interlock.experiments.autolog.sessions import Options, Session, quietly, recorded, session_of
from interlock.experiments.pictures import as_array

NAME = "catboost"
MODULES = ("catboost",)
_MODEL = "model.cb"


class _Recorder:
    """What CatBoost calls after every round."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def after_iteration(self, info: Any) -> bool:
        with quietly(NAME):
            values = {
                f"{data}-{metric}": float(series[-1])
                for data, metrics in (info.metrics or {}).items()
                for metric, series in metrics.items()
                if series
            }
            self._session.run.log_metrics(values, step=info.iteration)
        return True


def patch(module: ModuleType, patches: Patches, options: Options) -> None:
    """Wrap `fit` of every model."""

    def fit(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        model = args[0]
        rows = args[1] if len(args) > 1 else kwargs.get("X")
        target = args[2] if len(args) > 2 else kwargs.get("y")

        def before(session: Session) -> None:
            session.log_params({"estimator_class": type(model).__name__})
            session.log_params(model.get_params())
            if isinstance(rows, module.Pool):
                session.log_params({"rows": rows.num_row(), "columns": rows.num_col()})
            else:
                session.log_data(rows, target)

        def train() -> Any:
            session = session_of(NAME)
            # on a GPU CatBoost calls nobody; what it measured is logged afterwards
            if session is None or _is_on_gpu(model):
                return original(*args, **kwargs)
            callbacks = [*(kwargs.get("callbacks") or ()), _Recorder(session)]
            return original(*args, **{**kwargs, "callbacks": callbacks})

        def after(session: Session, _: Any) -> None:
            _log_fitted(session, model, afterwards=_is_on_gpu(model))
            session.log_model(lambda: _files(model, None if isinstance(rows, module.Pool) else rows))

        return recorded(NAME, options, title=lambda: type(model).__name__, train=train, before=before, after=after)

    patches.wrap_family(module.CatBoost, "fit", fit, unless=lambda cls: False)


def _is_on_gpu(model: Any) -> bool:
    return str(model.get_params().get("task_type", "CPU")).upper() == "GPU"


def _log_fitted(session: Session, model: Any, *, afterwards: bool) -> None:
    with quietly(NAME):
        if afterwards:
            for data, metrics in model.get_evals_result().items():
                for metric, series in metrics.items():
                    for step, value in enumerate(series):
                        session.run.log_metric(f"{data}-{metric}", value, step)
        best = model.get_best_iteration()
        if best is not None:
            session.run.log_metric("best_iteration", float(best))
    with quietly(NAME):
        names, gains = model.feature_names_, model.get_feature_importance()
        ranked = sorted(zip(names, map(float, gains), strict=True), key=lambda row: -row[1])
        columns = {"column": [name for name, _ in ranked], "importance": [gain for _, gain in ranked]}
        session.run.log_table("importance", columns)


def _files(model: Any, rows: Any) -> ModelFiles:
    flavor = {
        "catboost_version": installed("catboost"),
        "data": _MODEL,
        "model_type": type(model).__name__,
        "save_format": "cbm",
        "code": None,
    }
    predict = None
    if rows is not None:

        def predict() -> Any:
            return as_array(model.predict(rows.iloc[:5] if hasattr(rows, "iloc") else rows[:5]))

    function = {"loader_module": "mlflow.catboost", "data": _MODEL}
    files = {_MODEL: written(model.save_model, _MODEL)}
    return ModelFiles(files, {"catboost": flavor, "python_function": function}, ("catboost", "numpy"), predict)
