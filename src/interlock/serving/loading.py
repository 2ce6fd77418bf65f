"""Turn a Ref into a model that answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlock.core.errors import InvalidInput, did_you_mean
from interlock.core.schema import Signature
from interlock.ports.model_runtime import ModelRuntime, Predictor
from interlock.ports.model_store import ModelVersion
from interlock.serving.sized import SizedPredictor

LEAST_GAIN_US = 50.0
"""Below this, waiting for others costs more than it saves. Unit: microseconds."""
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
        gains_together: Whether it answers many rows at once much more cheaply than one by one.
        folder: Where its package lies, if it lies in a folder.
    """

    ref: str
    version: str
    engine: str
    signature: Signature
    predictor: Predictor
    is_quick: bool = False
    gains_together: bool = False
    folder: Path | None = None


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
        predictor = self._sized(predictor, version, folder)
        return LoadedModel(
            ref=version.ref,
            version=str(version.version),
            engine=version.engine,
            signature=version.signature,
            predictor=predictor,
            is_quick=_is_quick(version.facts),
            gains_together=gains_together(version.facts),
            folder=folder,
        )

    def _sized(self, predictor: Predictor, version: ModelVersion, folder: Path) -> Predictor:
        """Return a predictor that leaves many rows to the engine that was quicker for them, where there is one."""
        many = version.facts.get("many")
        runtime = None if many is None else self._runtimes.get(many["engine"])
        if many is None or runtime is None:
            return predictor

        def load() -> Predictor:
            return runtime.load(folder, signature=version.signature, settings=many["settings"])

        return SizedPredictor(predictor, load, from_rows=many["from_rows"])


def _is_quick(facts: Mapping[str, Any]) -> bool:
    """Say whether a model may be asked on an event loop: code of users may wait for anything, however quick it was."""
    return float(facts.get("one_row_us", QUICK_US + 1)) <= QUICK_US and not facts.get("may_block")


def gains_together(facts: Mapping[str, Any]) -> bool:
    """Say whether rows of several requests are better answered together, by what was measured at registration.

    Example:
        >>> gains_together({"one_row_us": 266.0, "rows512_us": 270.0})
        True
        >>> gains_together({"one_row_us": 8.0, "rows512_us": 900.0}), gains_together({})
        (False, False)
    """
    one, many = facts.get("one_row_us"), facts.get("rows512_us")
    if not isinstance(one, (int, float)) or not isinstance(many, (int, float)) or facts.get("looks_at_others"):
        return False
    return one >= LEAST_GAIN_US and many * 4 < one * 512
