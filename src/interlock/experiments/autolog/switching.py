"""Switch the recording of other libraries' trainings on and off."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, Protocol

from interlock.core.errors import InvalidInput, did_you_mean
from interlock.experiments.autolog import (
    catboost,
    keras,
    lightgbm,
    lightning,
    pytorch,
    sklearn,
    statsmodels,
    xgboost,
)
from interlock.experiments.autolog.patching import Imports, Patches
from interlock.experiments.autolog.sessions import Options, quietly


class Framework(Protocol):
    """A module that knows one library."""

    NAME: str
    MODULES: tuple[str, ...]

    def patch(self, module: ModuleType, patches: Patches, options: Options) -> None:
        """Wrap what trains, once the module is imported."""
        ...


FRAMEWORKS: dict[str, Any] = {
    one.NAME: one for one in (sklearn, xgboost, lightgbm, catboost, pytorch, lightning, keras, statsmodels)
}
_on: dict[str, tuple[Patches, Imports]] = {}


def switch_on(*frameworks: str, open_run: Callable[..., Any], **options: Any) -> None:
    """Record every training from now on; what was switched on before is switched on anew.

    Args:
        frameworks: Which libraries; all if none is named.
        open_run: Opens a run where none is open.
        options: See `Options`: `experiment`, `models`, `examples`, `data`.

    Raises:
        InvalidInput: There is no such library, or no such option.
    """
    names = _checked(frameworks)
    unknown = options.keys() - set(Options.__struct_fields__)
    if unknown:
        name = sorted(unknown)[0]
        known = [field for field in Options.__struct_fields__ if field != "open_run"]
        raise InvalidInput(
            f"autolog has no option '{name}'", why=did_you_mean(name, known), fix="autolog(models=False)"
        )
    chosen = Options(open_run=open_run, **options)
    switch_off(*names)
    for name in names:
        framework: Framework = FRAMEWORKS[name]
        patches, imports = Patches(), Imports()
        _on[name] = (patches, imports)
        for module in framework.MODULES:
            imports.when_imported(module, _patcher(framework, patches, chosen))


def switch_off(*frameworks: str) -> None:
    """Record no more of some libraries, or of none if none is named."""
    for name in _checked(frameworks):
        patches, imports = _on.pop(name, (None, None))
        if patches is not None and imports is not None:
            imports.forget()
            patches.undo()


def _patcher(framework: Framework, patches: Patches, options: Options) -> Callable[[ModuleType], None]:
    def patch(module: ModuleType) -> None:
        # a version of the library that looks otherwise is not recorded, and works as ever
        with quietly(framework.NAME):
            framework.patch(module, patches, options)

    return patch


def _checked(frameworks: tuple[str, ...]) -> tuple[str, ...]:
    for name in frameworks:
        if name not in FRAMEWORKS:
            raise InvalidInput(
                f"'{name}' is not a library that autolog knows",
                why=did_you_mean(name, FRAMEWORKS),
                fix='autolog("sklearn")',
            )
    return frameworks or tuple(FRAMEWORKS)
