"""Say in what runs differ: params, metrics, code, libraries, environment and data."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from interlock.core.errors import InvalidInput
from interlock.core.plain import as_text
from interlock.ports.artifact_store import ArtifactStore
from interlock.ports.journal import Journal
from interlock.ports.run_store import DIFF_FILE, Run, RunStore

_READ = ("trained_on", "read_by")
_MOST_DIFF_LINES = 2000
_ABSENT = object()


class Difference(msgspec.Struct, frozen=True):
    """One thing in which runs differ; `values` are in the order of the runs, None where a run lacks it."""

    part: str
    name: str
    values: tuple[Any, ...]


class Comparison(msgspec.Struct, frozen=True):
    """What runs have in common and in what they differ.

    Args:
        runs: The runs, in the order they were named.
        differences: What is not the same in all of them, part by part.
        same: How many things of each part are the same in all.
        words: The differences that matter most, a sentence each.
        code_diff: What the uncommitted changes of the second run add to those of the first, as a patch.
    """

    runs: tuple[Run, ...]
    differences: tuple[Difference, ...]
    same: dict[str, int]
    words: tuple[str, ...]
    code_diff: str = ""


def compare(run_ids: Sequence[str], *, runs: RunStore, artifacts: ArtifactStore, journal: Journal) -> Comparison:
    """Compare two or more runs.

    Raises:
        InvalidInput: Fewer than two are named.
        NotFound: One is not there.
    """
    if len(run_ids) < 2:
        raise InvalidInput("one run cannot be compared", why="expected two or more", fix="interlock run compare A B")
    found = tuple(runs.get(run_id) for run_id in run_ids)
    parts = [_parts(run, journal) for run in found]
    differences: list[Difference] = []
    same: dict[str, int] = {}
    for part in parts[0]:
        sides = [one[part] for one in parts]
        for name in sorted(set().union(*sides)):
            values = [side.get(name, _ABSENT) for side in sides]
            if all(_equal(value, values[0]) for value in values[1:]):
                same[part] = same.get(part, 0) + 1
            else:
                shown = tuple(None if value is _ABSENT else value for value in values)
                differences.append(Difference(part, name, shown))
    patch = _code_diff(found[0], found[1], runs, artifacts) if len(found) == 2 else ""
    return Comparison(found, tuple(differences), same, _words(found, differences, patch), patch)


def _parts(run: Run, journal: Journal) -> dict[str, Mapping[str, Any]]:
    edges = journal.walk(f"run:{run.id}", direction="back", depth=1)
    data: dict[str, Any] = {}
    for edge in edges:
        if edge.relation in _READ:
            name, _, version = edge.source.partition("@")
            data[name] = version or "unversioned"
    data |= {f"dataset:{one.name}": one.digest for one in run.datasets}
    return {
        "param": flatten(run.params),
        "metric": {key: summary.last for key, summary in run.metrics.items()},
        "data": data,
        "code": {key: value for key, value in run.code.items() if key != "untracked"},
        "library": run.libraries,
        "environment": flatten(run.environment),
        "tag": run.tags,
    }


def flatten(params: Mapping[str, Any], *, start: str = "") -> dict[str, Any]:
    """Return nested params as one level, their names joined by dots.

    Example:
        >>> flatten({"model": {"depth": 3}, "seed": 1})
        {'model.depth': 3, 'seed': 1}
    """
    flat: dict[str, Any] = {}
    for key, value in params.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, start=f"{start}{key}.")
        else:
            flat[f"{start}{key}"] = value
    return flat


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other):
        return True
    return type(one) is type(other) and bool(one == other)


def _code_diff(one: Run, two: Run, runs: RunStore, artifacts: ArtifactStore) -> str:
    """Return how the uncommitted changes of two runs differ, as a patch of patches."""
    before, after = (_uncommitted(run, runs, artifacts) for run in (one, two))
    if before == after:
        return ""
    lines = difflib.unified_diff(before, after, f"run:{one.id} (uncommitted)", f"run:{two.id} (uncommitted)", n=1)
    return "\n".join(line.rstrip("\n") for line in list(lines)[:_MOST_DIFF_LINES])


def _uncommitted(run: Run, runs: RunStore, artifacts: ArtifactStore) -> list[str]:
    for entry in runs.artifacts(run.id):
        if entry.path == DIFF_FILE:
            return artifacts.get(entry.digest).decode(errors="replace").splitlines()
    return []


def _words(runs: Sequence[Run], differences: Sequence[Difference], patch: str) -> tuple[str, ...]:
    by_part: dict[str, list[Difference]] = {}
    for one in differences:
        by_part.setdefault(one.part, []).append(one)
    words = [text for one in by_part.get("param", ()) if (text := f"param {one.name}: {_arrows(one)}")]
    words += [f"data {one.name}: {_arrows(one)}" for one in by_part.get("data", ())]
    commits = [str(run.code.get("commit", ""))[:12] for run in runs]
    if len(set(commits)) > 1:
        words.append(f"code: commit {' → '.join(commit or 'none' for commit in commits)}")
    if patch:
        words.append("code: the uncommitted changes differ")
    libraries = by_part.get("library", ())
    if libraries:
        shown = ", ".join(f"{one.name} {_arrows(one)}" for one in libraries[:5])
        words.append(f"libraries: {shown}" + (f" and {len(libraries) - 5} more" if len(libraries) > 5 else ""))
    for one in by_part.get("metric", ()):
        words.append(f"metric {one.name}: {_arrows(one)}{_change(one)}")
    return tuple(words) or ("the runs are the same in params, data, code, libraries and metrics",)


def _arrows(difference: Difference) -> str:
    return " → ".join("absent" if value is None else _short(value) for value in difference.values)


def _short(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else as_text(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _change(difference: Difference) -> str:
    if len(difference.values) != 2 or not all(isinstance(value, float) for value in difference.values):
        return ""
    before, after = difference.values
    if not (math.isfinite(before) and math.isfinite(after)) or before == 0:
        return ""
    return f" ({(after - before) / abs(before):+.2%})"
