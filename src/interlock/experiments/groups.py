"""Compare groups of runs that differ by chance alone, such as the seed: mean, interval, and what is real.

Source: Student 1908, The Probable Error of a Mean (interval and paired test); Welch 1947, The Generalization of
Student's Problem when Several Different Population Variances are Involved (test of unpaired groups).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean, stdev
from typing import Any

import msgspec

from interlock.core.errors import InvalidInput, missing_extra
from interlock.core.plain import as_text
from interlock.experiments.comparing import flatten
from interlock.ports.run_store import Run

LEVEL = 0.95


class Group(msgspec.Struct, frozen=True):
    """Runs of equal settings.

    Args:
        settings: What they have in common among the params that vary at all.
        runs: Their ids.
        values: The metric of each, in the order of the runs; those that lack it are left out.
        mean: Mean of the values, NaN if there are none.
        low: Lower end of the 95 % interval of the mean, NaN for fewer than two values.
        high: Upper end.
        spread: Standard deviation of the values, NaN for fewer than two.
    """

    settings: dict[str, Any]
    runs: tuple[str, ...]
    values: tuple[float, ...]
    mean: float
    low: float
    high: float
    spread: float


class Verdict(msgspec.Struct, frozen=True):
    """Whether the metric of two groups differs by more than chance.

    Args:
        test: Which test was made, and why that one.
        pairs: How many pairs, or the smaller group's size.
        difference: Mean of the second group less that of the first.
        low: Lower end of the 95 % interval of the difference.
        high: Upper end.
        p_value: How likely so large a difference is by chance alone, both directions counted.
        real: Whether that is less than 5 %.
        words: The same as a sentence.
    """

    test: str
    pairs: int
    difference: float
    low: float
    high: float
    p_value: float
    real: bool
    words: str


def group_by(runs: Iterable[Run], metric: str, *, over: Sequence[str] = ("seed", "random_state")) -> list[Group]:
    """Group runs whose params are equal but for some, and sum up a metric; best mean first where it is larger.

    Args:
        runs: The runs.
        metric: Key of the metric; its last value counts.
        over: Params that may differ within a group.
    """
    flat = [(run, {key: value for key, value in flatten(run.params).items() if key not in over}) for run in runs]
    varying = {key for _, params in flat for key in params if len({as_text(one.get(key)) for _, one in flat}) > 1}
    found: dict[str, list[tuple[Run, dict[str, Any]]]] = {}
    for run, params in flat:
        settings = {key: value for key, value in params.items() if key in varying}
        found.setdefault(as_text(settings), []).append((run, settings))
    groups = [_group([run for run, _ in members], members[0][1], metric) for members in found.values()]
    return sorted(groups, key=lambda group: -math.inf if math.isnan(group.mean) else group.mean, reverse=True)


def difference(one: Sequence[Run], two: Sequence[Run], metric: str, *, pair_by: str = "seed") -> Verdict:
    """Say whether two groups of runs differ in a metric.

    Runs of equal `pair_by` are compared in pairs (paired t-test); if there are fewer than two such pairs the groups are
    compared as they are (Welch's t-test).

    Raises:
        InvalidInput: A group has fewer than two runs with the metric.
        MissingExtra: SciPy is not installed.
    """
    first, second = _values(one, metric), _values(two, metric)
    if len(first) < 2 or len(second) < 2:
        raise InvalidInput(
            f"'{metric}' of these runs cannot be tested",
            why=f"each group needs two runs with it, and they have {len(first)} and {len(second)}",
            fix="run each setting with two or more seeds",
        )
    quantile, survival = _student()
    pairs = _pairs(one, two, metric, pair_by)
    if len(pairs) >= 2:
        changes = [after - before for before, after in pairs]
        mean, error, freedom = fmean(changes), stdev(changes) / math.sqrt(len(changes)), len(changes) - 1.0
        test, count = f"paired t-test over {len(pairs)} values of {pair_by}", len(pairs)
    else:
        mean = fmean(second) - fmean(first)
        parts = [stdev(values) ** 2 / len(values) for values in (first, second)]
        error = math.sqrt(sum(parts))
        down = sum(part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True))
        freedom = sum(parts) ** 2 / down if down else float(len(first) + len(second) - 2)
        test, count = f"Welch's t-test, as the runs cannot be paired by {pair_by}", min(len(first), len(second))
    exact = 1.0 if mean == 0 else 0.0
    p_value = 2 * survival(abs(mean) / error, freedom) if error else exact
    reach = quantile(freedom) * error
    real = p_value < 1 - LEVEL
    said = "real" if real else "within what chance gives"
    words = (
        f"{metric} changes by {mean:+.4g} (95 % interval {mean - reach:+.4g} to {mean + reach:+.4g}, "
        f"p = {p_value:.3g}, {test}): {said}"
    )
    return Verdict(test, count, mean, mean - reach, mean + reach, p_value, real, words)


def _group(runs: Sequence[Run], settings: dict[str, Any], metric: str) -> Group:
    values = tuple(_values(runs, metric))
    ids = tuple(run.id for run in runs)
    if not values:
        return Group(settings, ids, values, math.nan, math.nan, math.nan, math.nan)
    mean = fmean(values)
    if len(values) < 2:
        return Group(settings, ids, values, mean, math.nan, math.nan, math.nan)
    quantile, _ = _student()
    spread = stdev(values)
    reach = quantile(len(values) - 1.0) * spread / math.sqrt(len(values))
    return Group(settings, ids, values, mean, mean - reach, mean + reach, spread)


def _values(runs: Iterable[Run], metric: str) -> list[float]:
    found = [run.metrics[metric].last for run in runs if metric in run.metrics]
    return [value for value in found if math.isfinite(value)]


def _pairs(one: Sequence[Run], two: Sequence[Run], metric: str, pair_by: str) -> list[tuple[float, float]]:
    sides: list[dict[str, float]] = []
    for runs in (one, two):
        side: dict[str, float] = {}
        for run in runs:
            key = flatten(run.params).get(pair_by)
            if key is not None and metric in run.metrics and math.isfinite(run.metrics[metric].last):
                side[as_text(key)] = run.metrics[metric].last
        sides.append(side)
    return [(sides[0][key], sides[1][key]) for key in sorted(sides[0].keys() & sides[1].keys())]


def _student() -> tuple[Callable[[float], float], Callable[[float, float], float]]:
    """Return the 97.5 % quantile of Student's t by degrees of freedom, and its survival function."""
    try:
        from scipy import special
    except ImportError as error:
        raise missing_extra("scipy", extra="sklearn", purpose="comparing groups of runs") from error
    return (
        lambda freedom: float(special.stdtrit(freedom, (1 + LEVEL) / 2)),
        lambda statistic, freedom: float(special.stdtr(freedom, -statistic)),
    )
