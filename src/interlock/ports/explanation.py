"""Port: models that say what each input column contributed to an answer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from interlock.ports.model_runtime import Predictor

Space = Literal["value", "probability", "score", "log-odds", "log of the value"]
"""What contributions add up to: what the model answers, or what it turns into its answer in the end."""


class Explanation(msgspec.Struct, frozen=True):
    """What the columns of some rows contributed to what a model said of them.

    Additive: `base` and the contributions of a row and an output add up to its value.

    Args:
        outputs: What is explained, by name; classes that together make one are left out.
        space: What the contributions add up to.
        method: How they were found, in words.
        base: What the model says where nothing is known of the row, by output.
        values: What it says of each row, as the model itself computes it; shape (rows, outputs).
        contributions: Shape (rows, outputs, columns), the columns as in the signature.
        errors: Their standard errors, where they were sampled; of the same shape.
    """

    outputs: tuple[str, ...]
    space: Space
    method: str
    base: Any
    values: Any
    contributions: Any
    errors: Any = None


@runtime_checkable
class ExplainingPredictor(Predictor, Protocol):
    """A loaded model that knows exact contributions."""

    @abstractmethod
    def explain(
        self, columns: Sequence[Any], *, rows: int, background: Sequence[Any], background_rows: int
    ) -> Explanation | None:
        """Return the contributions of some rows, or None where there is no exact way for this model.

        Args:
            columns: As for `predict`.
            rows: How many.
            background: Rows as the model was trained on; what "nothing is known" means for models that do not keep it.
            background_rows: How many.
        """
