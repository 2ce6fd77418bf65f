"""Record what a PyTorch program says of itself: its optimisers, and what it writes for TensorBoard.

A loop that is written by hand has no beginning and no end that could be seen, so this never opens a run: it adds to the
one that is open.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from interlock.experiments.autolog.patching import Patches
from interlock.experiments.autolog.sessions import Options, quietly
from interlock.experiments.open_runs import current_run
from interlock.experiments.plain_params import described

NAME = "pytorch"
MODULES = ("torch.optim.optimizer", "torch.utils.tensorboard.writer")


def patch(module: ModuleType, patches: Patches, options: Options) -> None:
    """Wrap what makes an optimiser, and what writes scalars."""
    if hasattr(module, "Optimizer"):
        patches.wrap(module.Optimizer, "__init__", _optimizer)
    else:
        patches.wrap(module.SummaryWriter, "add_scalar", _scalar)
        patches.wrap(module.SummaryWriter, "add_hparams", _hparams)


def _optimizer(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    made = original(*args, **kwargs)
    run = current_run()
    if run is not None:
        with quietly(NAME):
            optimizer = args[0]
            settings = {f"optimizer_{key}": value for key, value in optimizer.defaults.items() if value is not None}
            for key, value in {"optimizer": type(optimizer).__name__, **settings}.items():
                # a second optimiser of the same run keeps what the first said
                run.log_params({key: described(value)} if key not in run.params else {})
    return made


def _scalar(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    run = current_run()
    if run is not None:
        with quietly(NAME):
            tag = args[1] if len(args) > 1 else kwargs["tag"]
            value = args[2] if len(args) > 2 else kwargs["scalar_value"]
            step = args[3] if len(args) > 3 else kwargs.get("global_step")
            run.log_metric(str(tag), float(value), None if step is None else float(step))
    return original(*args, **kwargs)


def _hparams(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    run = current_run()
    if run is not None:
        with quietly(NAME):
            given = args[1] if len(args) > 1 else kwargs["hparam_dict"]
            run.log_params({key: described(value) for key, value in given.items() if key not in run.params})
    return original(*args, **kwargs)
