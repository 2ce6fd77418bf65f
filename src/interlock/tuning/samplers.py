"""Choose what to try next, by Optuna's samplers over a study held in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from interlock.core.errors import missing_extra
from interlock.tuning.spaces import Float, Int, Space

Direction = Literal["maximize", "minimize"]
"""Whether a greater or a smaller value is better."""

_NUMBERS_PER_SEED = 100_003


class TpeSampler:
    """The tree-structured Parzen estimator.

    What it asks for depends on the seed, the number of the trial and the trials added before, and on nothing else;
    so a search that is rebuilt from its trials goes on as if it had never stopped.

    Source: Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NIPS 2011; Optuna's implementation.
    Cost: 1 to 10 ms per trial, growing with the number of trials.

    Args:
        space: Parameter to what it may be.
        direction: `maximize` or `minimize`.
        seed: Makes it repeatable.
    """

    def __init__(self, space: Mapping[str, Space], direction: Direction, seed: int) -> None:
        try:
            import optuna
        except ImportError as error:
            raise missing_extra("optuna", extra="tuning", purpose="a study") from error
        self._optuna = optuna
        self._seed = seed
        self._space = {name: self._distribution(one) for name, one in space.items()}
        level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            self._study = optuna.create_study(direction=direction)
        finally:
            optuna.logging.set_verbosity(level)

    def ask(self, number: int) -> dict[str, Any]:
        """Return the parameters that the trial of that number should try."""
        self._study.sampler = self._optuna.samplers.TPESampler(seed=self._seed * _NUMBERS_PER_SEED + number)
        asked = self._study.ask(self._space)
        params = dict(asked.params)
        self._study.tell(asked, state=self._optuna.trial.TrialState.FAIL)
        return params

    def add(self, params: Mapping[str, Any], value: float | None) -> None:
        """Take in a trial and what came of it; None if it failed, from which nothing is learnt."""
        if value is not None:
            self._study.add_trial(
                self._optuna.trial.create_trial(params=dict(params), distributions=self._space, value=value)
            )

    def _distribution(self, space: Space) -> Any:
        kinds = self._optuna.distributions
        if isinstance(space, Float):
            return kinds.FloatDistribution(space.low, space.high, log=space.log)
        if isinstance(space, Int):
            return kinds.IntDistribution(space.low, space.high, log=space.log)
        return kinds.CategoricalDistribution(space.values)
