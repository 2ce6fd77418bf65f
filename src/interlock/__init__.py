"""Interlock: the whole machine-learning lifecycle as two interlocked loops.

Every name below is loaded when it is first used, so that `import interlock` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interlock.core.errors import InterlockError as InterlockError
    from interlock.core.refs import Ref as Ref
    from interlock.core.schema import Column as Column
    from interlock.pipelines.context import ctx as ctx
    from interlock.pipelines.graphs import pipeline as pipeline
    from interlock.pipelines.steps import step as step
    from interlock.pipelines.wiring import pipeline_from as pipeline_from
    from interlock.ports.feature_store import FeatureView as FeatureView
    from interlock.workspace import Workspace as Workspace
    from interlock.workspace import autolog as autolog
    from interlock.workspace import open_workspace as open  # noqa: A004 (people write interlock.open)
    from interlock.workspace import run as run

__version__ = "0.1.0"

_FACE = {
    "Column": "interlock.core.schema:Column",
    "FeatureView": "interlock.ports.feature_store:FeatureView",
    "InterlockError": "interlock.core.errors:InterlockError",
    "Ref": "interlock.core.refs:Ref",
    "Workspace": "interlock.workspace:Workspace",
    "autolog": "interlock.workspace:autolog",
    "ctx": "interlock.pipelines.context:ctx",
    "open": "interlock.workspace:open_workspace",
    "pipeline": "interlock.pipelines.graphs:pipeline",
    "pipeline_from": "interlock.pipelines.wiring:pipeline_from",
    "run": "interlock.workspace:run",
    "step": "interlock.pipelines.steps:step",
}
__all__ = [
    "Column",
    "FeatureView",
    "InterlockError",
    "Ref",
    "Workspace",
    "__version__",
    "autolog",
    "ctx",
    "open",
    "pipeline",
    "pipeline_from",
    "run",
    "step",
]


def __getattr__(name: str) -> Any:
    if name not in _FACE:
        raise AttributeError(f"module 'interlock' has no attribute '{name}'; it has {', '.join(__all__)}")
    module, _, attribute = _FACE[name].partition(":")
    value = globals()[name] = getattr(import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_FACE})
