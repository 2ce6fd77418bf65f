"""Ask a live endpoint what its version was registered with, over HTTP, and compare."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from interlock.core.errors import Corrupt, NotFound
from interlock.loop.endpoints import Endpoint
from interlock.loop.ground import Ground
from interlock.ports.deployment_store import Role
from interlock.ports.model_store import ModelVersion
from interlock.serving.tensor_check import TensorCheck
from interlock.serving.validation import RowCheck

TOLERANCE = 1e-5
"""Largest difference borne between what was registered and what the endpoint says, relative to the size beyond 1."""


class Trial(msgspec.Struct, frozen=True):
    """What a version is asked, and what it has to say.

    Args:
        version: The version.
        example: The rows that it was registered with, by column; none if it was registered without.
        expected: What it says to them in this process, by output.
    """

    version: ModelVersion
    example: dict[str, list[Any]]
    expected: dict[str, list[Any]]

    @staticmethod
    def of(ground: Ground, version: ModelVersion) -> Trial:
        """Load a version here and ask it its example.

        Raises:
            InterlockError: It cannot be loaded or asked.
        """
        model = ground.load_model(version.ref)
        try:
            example = ground.registry.example(version)
        except NotFound:
            return Trial(version, {}, {})
        signature = version.signature
        table = (TensorCheck(signature) if signature.is_tensor else RowCheck(signature)).columns(example)
        answers = model.predictor.predict(table.columns, rows=table.rows)
        return Trial(version, example, {name: values.tolist() for name, values in answers.items()})

    def hold(self, endpoint: Endpoint, role: Role) -> list[str]:
        """Ask the endpoint, and return what is worth saying of it; the answers leave no trace in the log.

        Raises:
            Corrupt: It answers otherwise.
            InterlockError: What the server says.
        """
        if role == "shadow":
            return ["it was loaded; a shadow answers nobody"]
        if not self.example:
            return ["it was loaded, but has no example to be asked"]
        found = endpoint.try_out(self.example, version=self.version.version)
        for name, values in self.expected.items():
            for row, (one, other) in enumerate(zip(values, found.get(name, ()), strict=True)):
                if not agree(one, other):
                    raise Corrupt(
                        f"endpoint '{endpoint.name}' answers otherwise than {self.version.ref} was registered",
                        why=f"row {row} of the example, {name}: expected {one!r}, got {other!r}",
                        fix="run it with the same libraries: interlock doctor",
                    )
        rows = len(next(iter(self.example.values())))
        return [f"asked over HTTP, it answers {rows} example rows as it was registered"]


def agree(one: Any, other: Any) -> bool:
    """Say whether two answers are the same but for rounding.

    Example:
        >>> agree(0.1 + 0.2, 0.3), agree([1.0, float("nan")], [1.0, float("nan")]), agree("late", "early")
        (True, True, False)
    """
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(agree, one, other))
    if isinstance(one, float) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE) or (one != one and other != other)
    return bool(one == other)
