"""Record what Lightning trains: everything the modules log, with hyper-parameters, weights and graph."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from interlock.experiments.autolog.patching import Patches
from interlock.experiments.autolog.sessions import Options, Session, quietly, recorded, session_of
from interlock.experiments.autolog.torch_files import torch_files
from interlock.experiments.pictures import as_array

NAME = "lightning"
MODULES = ("lightning.pytorch", "pytorch_lightning")
_GIVEN = ("max_epochs", "max_steps", "accumulate_grad_batches", "gradient_clip_val", "precision", "num_devices")
_EXAMPLE_ROWS = 5


def patch(module: ModuleType, patches: Patches, options: Options) -> None:
    """Wrap `fit` of the trainer."""
    recorder = _callback_class(module)

    def fit(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        trainer = args[0]
        model: Any = args[1] if len(args) > 1 else kwargs.get("model")
        if getattr(trainer, "global_rank", 0) != 0:
            return original(*args, **kwargs)

        seen: dict[str, Any] = {}

        def before(session: Session) -> None:
            session.log_params({"model": type(model).__name__})
            session.log_params({key: getattr(trainer, key, None) for key in _GIVEN})
            session.log_params(dict(getattr(model, "hparams", None) or {}))

        def train() -> Any:
            session = session_of(NAME)
            added = None
            if session is not None:
                with quietly(NAME):
                    added = recorder(session, seen)
                    trainer.callbacks.append(added)
            try:
                return original(*args, **kwargs)
            finally:
                if added is not None and added in trainer.callbacks:
                    trainer.callbacks.remove(added)

        def after(session: Session, _: Any) -> None:
            with quietly(NAME):
                session.run.log_text(str(model), "summary.txt")
                session.log_params({"parameters": sum(one.numel() for one in model.parameters())})
            session.log_model(lambda: torch_files(model, seen.get("rows"), framework=NAME))

        return recorded(NAME, options, title=lambda: type(model).__name__, train=train, before=before, after=after)

    patches.wrap(module.Trainer, "fit", fit)


def _callback_class(module: ModuleType) -> Any:
    """Make the class that Lightning calls while it trains."""

    class Recorder(module.Callback):  # type: ignore[misc, name-defined]
        def __init__(self, session: Session, seen: dict[str, Any]) -> None:
            self._session = session
            self._seen = seen
            self._logged: dict[str, tuple[int, float]] = {}

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            with quietly(NAME):
                for optimizer in trainer.optimizers:
                    self._session.log_params({"optimizer": type(optimizer).__name__})
                    self._session.log_params(optimizer.defaults, prefix="optimizer_")

        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            if not self._seen:
                self._seen["rows"] = None
                with quietly(NAME):
                    parts = batch if isinstance(batch, (list, tuple)) else [batch]
                    if hasattr(parts[0], "detach"):
                        self._seen["rows"] = parts[0][:_EXAMPLE_ROWS].detach().clone()
                    arrays = [array for array in map(as_array, parts) if array is not None]
                    if arrays:
                        self._session.log_data(*arrays[:2], name="first_batch")

        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            # as often as Lightning itself would tell its loggers
            if (trainer.global_step + 1) % max(1, trainer.log_every_n_steps) == 0:
                self._log(trainer.logged_metrics, trainer.global_step)

        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            self._log(trainer.callback_metrics, trainer.global_step)

        def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            if not trainer.sanity_checking:
                self._log(trainer.callback_metrics, trainer.global_step)

        def _log(self, metrics: Mapping[str, Any], step: int) -> None:
            with quietly(NAME):
                values = {key: float(value) for key, value in metrics.items()}
                # the same figure is there at the end of a batch, of an epoch and of its validation
                fresh = {key: value for key, value in values.items() if self._logged.get(key) != (step, value)}
                self._logged |= {key: (step, value) for key, value in fresh.items()}
                self._session.run.log_metrics(fresh, step=step)

    return Recorder
