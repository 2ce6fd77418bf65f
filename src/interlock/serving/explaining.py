"""Explain answers: what each input column contributed, exactly where the model allows it, else by sampling.

Every explanation is checked before it is given: base and contributions must add up to what the model itself says of the
row. One that does not is an error, never an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from interlock.core.errors import Corrupt, InterlockError, InvalidInput, LimitExceeded, MissingExtra
from interlock.core.schema import Signature
from interlock.ports.explanation import ExplainingPredictor, Explanation
from interlock.ports.model_runtime import ModelRuntime, Predictor
from interlock.ports.model_store import ModelVersion

MOST_ROWS = 1_000
MOST_SAMPLED_ROWS = 100
PERMUTATIONS = 64
"""How many orders of the columns are tried for each sampled row, each forwards and backwards."""
TOLERANCE, ROUNDING = 1e-5, 1e-6
"""How far a sum may be from the model's own value: a part of that value, and of the largest contribution, which is what
is lost where a booster adds in 32 bits."""

_BACKGROUND_ROWS = 100
_SAMPLED = "Shapley values sampled over {permutations} pairs of permutations, against {background} example rows"
_ROWS_AT_ONCE = 20_000

Mode = Literal["auto", "exact", "sampled"]


class Part(msgspec.Struct):
    """What was explained of one output of one row.

    Args:
        output: Its name.
        base: What the model says where nothing is known.
        value: What it says of the row.
        contributions: What each column added, by name.
        standard_errors: How far these may be off, where they were sampled.
    """

    output: str
    base: float
    value: float
    contributions: dict[str, float]
    standard_errors: dict[str, float] | None = None


class Explained(msgspec.Struct, omit_defaults=True):
    """The explanation of some rows.

    Args:
        model: Ref of the version.
        space: What the contributions add up to.
        method: How they were found.
        largest_gap: How far a sum is from the model's own value at most; it was checked for every row.
        explanations: For each row a part for each output.
    """

    model: str
    space: str
    method: str
    largest_gap: float
    explanations: list[list[Part]]


class ModelExplainer:
    """Explains versions.

    Args:
        resolve: Gives the version of a Ref.
        package_folder: Gives the version's folder on disk.
        runtimes: The engines at hand.
        load: Loads the version as it is served.
        example_of: Gives a version's example rows by column.

    Example:
        ModelExplainer(…)("model:delay@3").explain([[0.5, 1.2], ["JFK", "EWR"]], rows=2)
    """

    def __init__(
        self,
        resolve: Callable[[str], ModelVersion],
        package_folder: Callable[[ModelVersion], Path],
        runtimes: Sequence[ModelRuntime],
        *,
        load: Callable[[str], Predictor],
        example_of: Callable[[ModelVersion], Mapping[str, Any]],
    ) -> None:
        self._resolve = resolve
        self._package_folder = package_folder
        self._runtimes = {runtime.engine: runtime for runtime in runtimes}
        self._load = load
        self._example_of = example_of
        self._known: dict[str, VersionExplainer] = {}

    def __call__(self, ref: str) -> VersionExplainer:
        """Return what explains the version that a Ref means.

        Raises:
            NotFound: There is no such version.
            InvalidInput: It takes tensors, or nothing here can run it.
        """
        version = self._resolve(ref)
        if version.ref not in self._known:
            if len(self._known) >= 8:
                self._known.pop(next(iter(self._known)))
            self._known[version.ref] = self._open(version)
        return self._known[version.ref]

    def _open(self, version: ModelVersion) -> VersionExplainer:
        if version.signature.is_tensor:
            raise InvalidInput(f"{version.ref} cannot be explained", why="it takes tensors, not columns")
        example = self._example_of(version)
        names = version.signature.input_names
        background = [list(example[name])[:_BACKGROUND_ROWS] for name in names]
        return VersionExplainer(
            version.ref,
            version.signature,
            exact=self._native(version),
            served=lambda: self._load(version.ref),
            background=background,
        )

    def _native(self, version: ModelVersion) -> Predictor | None:
        """Load the model itself, of which it may be a compiled form that is served."""
        # a kind of model and the engine that runs it as it is have one name
        runtime = self._runtimes.get(version.flavor)
        if runtime is None:
            return None
        try:
            return runtime.load(self._package_folder(version), signature=version.signature, settings=version.facts)
        except (MissingExtra, Corrupt):
            # it cannot be had here, or was not packaged: what is served can still be sampled
            return None


class VersionExplainer:
    """Explains one version.

    Args:
        ref: Its Ref.
        signature: What it takes and gives.
        exact: The model itself, if that knows exact contributions.
        served: Loads it as it is served.
        background: Example rows, column by column.
    """

    def __init__(
        self,
        ref: str,
        signature: Signature,
        *,
        exact: Predictor | None,
        served: Callable[[], Predictor],
        background: Sequence[Sequence[Any]],
    ) -> None:
        self.ref = ref
        self.signature = signature
        self._exact = exact if isinstance(exact, ExplainingPredictor) else None
        self._served = served
        self._background = _as_served(background, signature)

    def explain(
        self, columns: Sequence[Sequence[Any]], *, rows: int, mode: Mode = "auto", permutations: int = PERMUTATIONS
    ) -> Explained | None:
        """Explain some rows.

        Args:
            columns: The rows column by column, checked, in the order of the signature.
            rows: How many.
            mode: `exact` gives None where there is no exact way; `auto` samples then; `sampled` always does.
            permutations: How many orders of the columns to sample, for each row.

        Raises:
            LimitExceeded: There are too many rows.
            InvalidInput: The model refuses the rows.
            Corrupt: The contributions do not add up.
        """
        if rows > MOST_ROWS:
            raise LimitExceeded(f"{rows:,} rows are too many to explain at once", why=f"up to {MOST_ROWS:,} are taken")
        found = None
        if mode != "sampled" and self._exact is not None:
            held = len(self._background[0])
            found = self._exact.explain(columns, rows=rows, background=self._background, background_rows=held)
        if found is None and mode == "exact":
            return None
        if found is None:
            found = self._sampled(columns, rows, permutations)
        return self._checked(found)

    def _sampled(self, columns: Sequence[Sequence[Any]], rows: int, permutations: int) -> Explanation:
        if rows > MOST_SAMPLED_ROWS:
            why = f"up to {MOST_SAMPLED_ROWS} are taken of a model that has no exact way"
            raise LimitExceeded(f"{rows:,} rows are too many to explain at once", why=why)
        return sample(self._served(), self.signature, columns, self._background, rows=rows, permutations=permutations)

    def _checked(self, found: Explanation) -> Explained:
        """Hold every sum against the model's own value.

        Raises:
            Corrupt: One differs.
        """
        import numpy as np

        base, values = np.asarray(found.base, float), np.asarray(found.values, float)
        contributions = np.asarray(found.contributions, float)
        is_finite = np.isfinite(base).all() and np.isfinite(values).all() and np.isfinite(contributions).all()
        gaps = np.abs(base + contributions.sum(axis=2) - values) if is_finite else np.full(values.shape, np.inf)
        allowed = TOLERANCE * np.maximum(1.0, np.maximum(np.abs(values), np.abs(base)))
        allowed = allowed + ROUNDING * np.abs(contributions).max(axis=2, initial=0.0) if is_finite else 0.0
        if not np.all(gaps <= allowed):
            raise Corrupt(
                f"the contributions to what {self.ref} says do not add up",
                why=f"a sum is {float(gaps.max()):g} away from what the model itself says",
                fix="report it with the model's card; interlock model explain --sampled gives an estimate",
            )
        names = self.signature.input_names
        return Explained(
            model=self.ref,
            space=found.space,
            method=found.method,
            largest_gap=float(gaps.max(initial=0.0)),
            explanations=[
                [
                    Part(
                        output,
                        float(base[place]),
                        float(values[row, place]),
                        dict(zip(names, contributions[row, place].tolist(), strict=True)),
                        None
                        if found.errors is None
                        else dict(zip(names, found.errors[row, place].tolist(), strict=True)),
                    )
                    for place, output in enumerate(found.outputs)
                ]
                for row in range(len(values))
            ],
        )


def sample(
    predictor: Predictor,
    signature: Signature,
    columns: Sequence[Sequence[Any]],
    background: Sequence[Sequence[Any]],
    *,
    rows: int,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Explanation:
    """Estimate the contributions of some rows to what any model says of them.

    Columns are taken over from an example row one after the other, in an order and then in its reverse; what the answer
    changes by is what the column contributed. Contributions are moved by the same amount each, so that they add up to
    the row's value from the mean of all example rows.

    Source: Strumbelj and Kononenko 2014; antithetic pairs as in Mitchell et al. 2022.

    Args:
        predictor: The model.
        signature: What it takes and gives.
        columns: The rows, column by column.
        background: Example rows, column by column.
        rows: How many rows.
        permutations: How many pairs of orders.
        seed: Makes the same estimate again.
    """
    import numpy as np

    outputs = tuple(
        column.name for column in signature.outputs if column.type in ("double", "long") and column.name != "label"
    )
    if not outputs:
        raise InvalidInput("the answers cannot be explained", why="the model gives no number that columns add up to")
    width, held = len(columns), len(background[0])
    base = _ask(predictor, background, held, outputs).mean(axis=0)
    values = _ask(predictor, columns, rows, outputs)
    dice = np.random.default_rng(seed)
    found = np.zeros((rows, len(outputs), width))
    errors = np.zeros_like(found)
    for row in range(rows):
        own = [column[row] for column in columns]
        orders = [dice.permutation(width) for _ in range(permutations)]
        # every example row is taken about equally often
        picks = dice.permutation(np.arange(permutations) % held)
        paths = [(order, int(pick)) for order, pick in zip(orders, picks, strict=True)]
        paths = [path for order, pick in paths for path in ((order, pick), (order[::-1], pick))]
        steps = _walk(predictor, own, background, paths, outputs)
        pairs = steps.reshape(permutations, 2, width, len(outputs)).mean(axis=1)
        mean = pairs.mean(axis=0).T
        gap = values[row] - base - mean.sum(axis=1)
        found[row] = mean + gap[:, None] / width
        errors[row] = pairs.std(axis=0, ddof=1).T / np.sqrt(permutations) if permutations > 1 else np.inf
    method = _SAMPLED.format(permutations=permutations, background=held)
    space: Any = "probability" if all(name.startswith("probability") for name in outputs) else "value"
    return Explanation(outputs, space, method, base, values, found, errors)


def _walk(
    predictor: Predictor,
    own: Sequence[Any],
    background: Sequence[Sequence[Any]],
    paths: Sequence[tuple[Any, int]],
    outputs: Sequence[str],
) -> Any:
    """Return what each column changed on every path; shape (paths, columns, outputs)."""
    import numpy as np

    width = len(own)
    steps = np.zeros((len(paths), width, len(outputs)))
    at_once = max(1, _ROWS_AT_ONCE // (width + 1))
    for first in range(0, len(paths), at_once):
        chunk = paths[first : first + at_once]
        table: list[list[Any]] = [[] for _ in range(width)]
        for order, pick in chunk:
            present = [column[pick] for column in background]
            for reached in range(width + 1):
                if reached:
                    place = order[reached - 1]
                    present[place] = own[place]
                for column, value in zip(table, present, strict=True):
                    column.append(value)
        said = _ask(predictor, table, len(table[0]), outputs).reshape(len(chunk), width + 1, len(outputs))
        changes = np.diff(said, axis=1)
        for number, (order, _) in enumerate(chunk):
            steps[first + number, order] = changes[number]
    return steps


def _ask(predictor: Predictor, columns: Sequence[Sequence[Any]], rows: int, outputs: Sequence[str]) -> Any:
    import numpy as np

    answer = predictor.predict(columns, rows=rows)
    return np.column_stack([np.asarray(answer[name], np.float64) for name in outputs])


def _as_served(background: Sequence[Sequence[Any]], signature: Signature) -> list[list[Any]]:
    """Return example rows as predictors take them: a missing number is NaN, a missing text None."""
    numbers = ("double", "long", "boolean")
    return [
        [float("nan") if value is None and column.type in numbers else value for value in values]
        for column, values in zip(signature.inputs, background, strict=True)
    ]


def problem_of(error: InterlockError) -> dict[str, str]:
    """Return an error as plain values, to be told elsewhere."""
    return {"code": error.code, "what": error.what, "why": error.why, "fix": error.fix}
