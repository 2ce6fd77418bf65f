"""Record what Keras fits: epoch by epoch, with the model's summary."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from interlock.experiments.autolog.model_files import ModelFiles, installed, written
from interlock.experiments.autolog.patching import Patches
from interlock.experiments.autolog.sessions import Options, Session, quietly, recorded, session_of
from interlock.experiments.pictures import as_array

NAME = "keras"
MODULES = ("keras",)
_MODEL = "data/model.keras"
_GIVEN = ("batch_size", "epochs", "validation_split", "shuffle", "class_weight", "initial_epoch", "steps_per_epoch")


def patch(module: ModuleType, patches: Patches, options: Options) -> None:
    """Wrap `fit` of the model class, which all models share."""
    recorder = _callback_class(module)

    def fit(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        model = args[0]
        rows = args[1] if len(args) > 1 else kwargs.get("x")
        target = args[2] if len(args) > 2 else kwargs.get("y")

        def before(session: Session) -> None:
            session.log_params({"model": type(model).__name__, **{key: kwargs.get(key) for key in _GIVEN}})
            with quietly(NAME):
                session.log_params(model.optimizer.get_config(), prefix="optimizer_")
            session.log_params({"loss": getattr(model, "loss", None)})
            session.log_data(rows, target)

        def train() -> Any:
            session = session_of(NAME)
            if session is None:
                return original(*args, **kwargs)
            given = kwargs.get("callbacks") or []
            callbacks = [*given, recorder(session)] if isinstance(given, (list, tuple)) else given
            return original(*args, **{**kwargs, "callbacks": callbacks})

        def after(session: Session, _: Any) -> None:
            with quietly(NAME):
                session.log_params({"parameters": int(model.count_params())})
                lines: list[str] = []
                model.summary(print_fn=lambda line, **_: lines.append(str(line)))
                session.run.log_text("\n".join(lines), "summary.txt")
            session.log_model(lambda: _files(model, rows))

        return recorded(NAME, options, title=lambda: str(model.name), train=train, before=before, after=after)

    owner = next(cls for cls in module.Model.__mro__ if "fit" in vars(cls))
    patches.wrap(owner, "fit", fit)


def _callback_class(module: ModuleType) -> Any:
    """Make the class that Keras calls after every epoch."""

    class Recorder(module.callbacks.Callback):  # type: ignore[misc, name-defined]
        def __init__(self, session: Session) -> None:
            super().__init__()
            self._session = session

        def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
            with quietly(NAME):
                values = {key: float(value) for key, value in (logs or {}).items()}
                rate = getattr(getattr(self.model, "optimizer", None), "learning_rate", None)
                if rate is not None:
                    values.setdefault("learning_rate", float(rate))
                self._session.run.log_metrics(values, step=epoch)

    return Recorder


def _files(model: Any, rows: Any) -> ModelFiles:
    flavor = {
        "keras_version": installed("keras"),
        "keras_backend": type(model).__module__.split(".")[0],
        "data": "data",
        "save_exported_model": False,
        "code": None,
    }
    predict = None
    if as_array(rows) is not None:

        def predict() -> Any:
            return as_array(model.predict(rows[:5], verbose=0))

    function = {"loader_module": "mlflow.keras", "data": "."}
    files = {_MODEL: written(model.save, "model.keras")}
    return ModelFiles(files, {"keras": flavor, "python_function": function}, ("keras", "numpy"), predict)
