"""Turn a Ref into a model that answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from interlock.core.errors import InvalidInput, did_you_mean
from interlock.core.schema import Signature
from interlock.ports.model_runtime import ModelRuntime, Predictor
from interlock.ports.model_store import ModelVersion

QUICK_US = 200.0
"""A version that takes no longer for a row may be asked on an event loop. Unit: microseconds."""


@dataclass(frozen=True)
class LoadedModel:
    """A version in memory.

    Args:
        ref: Its Ref (`model:delay@7`).
        version: Its number as text, as protocols name it.
        engine: What runs it.
        signature: What it takes and gives.
        predictor: What answers.
        is_quick: Whether it was quick enough at its registration for small requests to be answered on an event loop.
    """

    ref: str
    version: str
    engine: str
    signature: Signature
    predictor: Predictor
    is_quick: bool = False


class ModelLoader:
    """Loads versions with the runtime that each was registered for.

    Args:
        resolve: Gives the version of a Ref.
        package_folder: Gives the version's folder on disk.
        runtimes: The engines at hand.
    """

    def __init__(
        self,
        resolve: Callable[[str], ModelVersion],
        package_folder: Callable[[ModelVersion], Path],
        runtimes: Sequence[ModelRuntime],
    ) -> None:
        self._resolve = resolve
        self._package_folder = package_folder
        self._runtimes = {runtime.engine: runtime for runtime in runtimes}

    def __call__(self, ref: str) -> LoadedModel:
        """Load the version that a Ref means.

        Raises:
            NotFound: There is no such version.
            InvalidInput: No runtime at hand runs it.
            Corrupt: Its package is damaged.
            MissingExtra: Its runtime needs a library that is not installed.
        """
        version = self._resolve(ref)
        if not version.engine:
            raise InvalidInput(
                f"nothing here can serve {version.ref}",
                why=f"it was made with {version.flavor or 'an unknown library'} by another tool, without a signature or"
                " in a form that cannot be loaded without running code of its own",
                fix="register the fitted model with interlock, or log it in skops form with an input example",
            )
        runtime = self._runtimes.get(version.engine)
        if runtime is None:
            raise InvalidInput(
                f"{version.ref} needs the engine '{version.engine}'", why=did_you_mean(version.engine, self._runtimes)
            )
        folder = self._package_folder(version)
        predictor = runtime.load(folder, signature=version.signature, settings=version.facts)
        return LoadedModel(
            ref=version.ref,
            version=str(version.version),
            engine=version.engine,
            signature=version.signature,
            predictor=predictor,
            is_quick=float(version.facts.get("one_row_us", QUICK_US + 1)) <= QUICK_US,
        )
