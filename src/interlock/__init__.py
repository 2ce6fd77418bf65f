"""Interlock: the whole machine-learning lifecycle as two interlocked loops.

Every name below is loaded when it is first used, so that `import interlock` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interlock.core.errors import InterlockError as InterlockError
    from interlock.core.refs import Ref as Ref
    from interlock.core.schema import Column as Column
    from interlock.here import autolog as autolog
    from interlock.here import deploy as deploy
    from interlock.here import endpoint as endpoint
    from interlock.here import run as run
    from interlock.loop.endpoints import Endpoint as Endpoint
    from interlock.pipelines.context import ctx as ctx
    from interlock.pipelines.graphs import pipeline as pipeline
    from interlock.pipelines.steps import step as step
    from interlock.pipelines.wiring import pipeline_from as pipeline_from
    from interlock.ports.feature_store import FeatureView as FeatureView
    from interlock.registry.flavors.graphs import branch as branch
    from interlock.registry.flavors.graphs import ensemble as ensemble
    from interlock.workspace import Workspace as Workspace
    from interlock.workspace import open_workspace as open  # noqa: A004 (people write interlock.open)

__version__ = "0.1.0"

_FACE = {
    "Column": "interlock.core.schema:Column",
    "Endpoint": "interlock.loop.endpoints:Endpoint",
    "FeatureView": "interlock.ports.feature_store:FeatureView",
    "InterlockError": "interlock.core.errors:InterlockError",
    "Ref": "interlock.core.refs:Ref",
    "Workspace": "interlock.workspace:Workspace",
    "autolog": "interlock.here:autolog",
    "branch": "interlock.registry.flavors.graphs:branch",
    "ctx": "interlock.pipelines.context:ctx",
    "deploy": "interlock.here:deploy",
    "endpoint": "interlock.here:endpoint",
    "ensemble": "interlock.registry.flavors.graphs:ensemble",
    "open": "interlock.workspace:open_workspace",
    "pipeline": "interlock.pipelines.graphs:pipeline",
    "pipeline_from": "interlock.pipelines.wiring:pipeline_from",
    "run": "interlock.here:run",
    "step": "interlock.pipelines.steps:step",
}
__all__ = [
    "Column",
    "Endpoint",
    "FeatureView",
    "InterlockError",
    "Ref",
    "Workspace",
    "__version__",
    "autolog",
    "branch",
    "ctx",
    "deploy",
    "endpoint",
    "ensemble",
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
