"""Hold a run against the run that was to reproduce it: equal, within tolerance, or different, and where first."""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec

from interlock.core.errors import InvalidInput
from interlock.ports.journal import Journal
from interlock.ports.run_store import MetricPoint, Run
from interlock.ports.stores import Stores

Verdict = Literal["equal", "within tolerance", "different"]
_SURROUNDINGS = ("environment/", "code/", "console.txt")
_MACHINE = "system/"
_READ = ("trained_on", "read_by")


class Deviation(msgspec.Struct, frozen=True):
    """One thing that came out otherwise.

    Args:
        part: `data`, `param`, `metric` or `artifact`.
        name: Its name.
        before: What it was, in words.
        now: What it is, in words.
        within_tolerance: Whether that is little enough to pass.
    """

    part: str
    name: str
    before: str
    now: str
    within_tolerance: bool = False


class Judgement(msgspec.Struct, frozen=True):
    """How a run and its reproduction compare.

    Args:
        verdict: All in one word.
        first_artifact: Path of the first artifact, by path, that differs, if one does.
        deviations: Everything that differs: data, params, metrics, artifacts.
        compared: How many things of each part were compared.
    """

    verdict: Verdict
    first_artifact: str | None
    deviations: tuple[Deviation, ...]
    compared: dict[str, int]


def judge_runs(stores: Stores, before: Run, now: Run, *, tolerance: float = 1e-9) -> Judgement:
    """Compare what two runs read, were told, measured and made.

    What the machine measured of itself, what was printed, and what describes the environment is not compared.

    Args:
        stores: The workspace of both.
        before: The run.
        now: Its reproduction.
        tolerance: By how much, relative to the larger, values of metrics may differ.

    Raises:
        InvalidInput: The tolerance is negative or not a number.
    """
    check_tolerance(tolerance)
    data = _data(before, stores.journal), _data(now, stores.journal)
    files = _files(stores, before), _files(stores, now)
    found = [*_unequal("data", *data), *_unequal("param", before.params, now.params)]
    found += _metrics(stores, before, now, tolerance)
    changed = _unequal("artifact", *files)
    found += changed
    failed = before.status != now.status
    if failed:
        found.insert(0, Deviation("status", "status", before.status, now.status))
    verdict: Verdict = "equal"
    if found:
        verdict = "within tolerance" if all(one.within_tolerance for one in found) else "different"
    counts = {
        "data": len(data[0]),
        "param": len(before.params),
        "metric": len(_measured(before)),
        "artifact": len(files[0]),
    }
    return Judgement(verdict, changed[0].name if changed else None, tuple(found), counts)


def check_tolerance(tolerance: float) -> None:
    """Refuse what is no tolerance."""
    if not tolerance >= 0:
        raise InvalidInput(f"{tolerance} is no tolerance", why="expected a number from 0 up", fix="--tolerance 1e-9")


def _data(run: Run, journal: Journal) -> dict[str, str]:
    found = {f"dataset:{one.name}": one.digest for one in run.datasets}
    for edge in journal.walk(f"run:{run.id}", direction="back", depth=1):
        if edge.target == f"run:{run.id}" and (edge.relation in _READ or edge.relation.startswith("read_for_")):
            found[f"{edge.source} ({edge.relation})"] = "read"
    return found


def _files(stores: Stores, run: Run) -> dict[str, str]:
    return {one.path: one.digest for one in stores.runs.artifacts(run.id) if not one.path.startswith(_SURROUNDINGS)}


def _measured(run: Run) -> list[str]:
    return sorted(key for key in run.metrics if not key.startswith(_MACHINE))


def _unequal(part: str, before: dict[str, Any], now: dict[str, Any]) -> list[Deviation]:
    """Return what is not the same on both sides, by name."""
    found = []
    for name in sorted({*before, *now}):
        one, other = before.get(name, "absent"), now.get(name, "absent")
        if type(one) is not type(other) or not (one == other or one != one and other != other):
            found.append(Deviation(part, name, str(one), str(other)))
    return found


def _metrics(stores: Stores, before: Run, now: Run, tolerance: float) -> list[Deviation]:
    found = []
    for key in sorted({*_measured(before), *_measured(now)}):
        if key not in before.metrics or key not in now.metrics:
            words = [f"{run.metrics[key].last!r}" if key in run.metrics else "absent" for run in (before, now)]
            found.append(Deviation("metric", key, words[0], words[1]))
            continue
        series = stores.runs.history(before.id, key), stores.runs.history(now.id, key)
        if (one := _series(key, *series, tolerance)) is not None:
            found.append(one)
    return found


def _series(key: str, before: list[MetricPoint], now: list[MetricPoint], tolerance: float) -> Deviation | None:
    """Return how two series differ: first in steps, then in the value that is furthest off."""
    steps = [point.step for point in before], [point.step for point in now]
    if steps[0] != steps[1]:
        return Deviation("metric", key, f"{len(before)} points", f"{len(now)} points, or at other steps")
    furthest, worst = 0.0, None
    for one, other in zip(before, now, strict=True):
        if (off := _off(one.value, other.value)) > furthest:
            furthest, worst = off, (one, other)
    if worst is None:
        return None
    at = f" at step {worst[0].step:g}"
    return Deviation("metric", key, f"{worst[0].value!r}{at}", f"{worst[1].value!r}{at}", furthest <= tolerance)


def _off(one: float, other: float) -> float:
    """Return by how much two values differ, relative to the larger."""
    if one == other or (math.isnan(one) and math.isnan(other)):
        return 0.0
    if not (math.isfinite(one) and math.isfinite(other)):
        return math.inf
    return abs(one - other) / max(abs(one), abs(other))
