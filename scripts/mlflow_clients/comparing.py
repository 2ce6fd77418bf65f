"""Compares what a step saw on Interlock with what it saw on MLflow's own store, fact by fact."""

from __future__ import annotations

from typing import Any

import msgspec

BETTER: dict[tuple[str, str], Any] = {
    # MLflow's SQLite store keeps infinities as the largest float there is
    ("unusual", "metric up"): "inf",
    ("unusual", "metric down"): "-inf",
}
"""What Interlock says otherwise than MLflow, and is right about."""


class Difference(msgspec.Struct, frozen=True):
    """One fact that is not the same.

    Args:
        fact: Which one.
        mlflow: What MLflow's own store says; None where it does not.
        interlock: What Interlock says.
    """

    fact: str
    mlflow: Any
    interlock: Any


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How one step went.

    Args:
        version: Of the client.
        step: Its name.
        same: How many facts are the same on both.
        better: How many Interlock says otherwise, and rightly.
        differences: What else differs.
        error: Why the step ended early on Interlock.
        unavailable: Why it ended early on MLflow's own store too: this version of the client lacks something.
        mlflow_s: How long it took there.
        interlock_s: How long it took here.
    """

    version: str
    step: str
    same: int
    better: int = 0
    differences: list[Difference] = []
    error: str = ""
    unavailable: str = ""
    mlflow_s: float = 0.0
    interlock_s: float = 0.0

    @property
    def is_good(self) -> bool:
        """Say whether nothing is lost on Interlock."""
        return not self.differences and not self.error


def verdict(version: str, step: str, mlflow: dict[str, Any], interlock: dict[str, Any]) -> Verdict:
    """Compare the records of a step, as `inside/drive.py` writes them."""
    theirs, ours = dict(mlflow["facts"]), dict(interlock["facts"])
    failed_there, failed_here = theirs.pop("error", ""), ours.pop("error", "")
    for facts in (theirs, ours):
        facts.pop("error at", None)
    differences, better = [], 0
    for fact in sorted(theirs.keys() | ours.keys()):
        if theirs.get(fact) == ours.get(fact) and (fact in theirs) == (fact in ours):
            continue
        if (step, fact) in BETTER and ours.get(fact) == BETTER[step, fact]:
            better += 1
            continue
        differences.append(Difference(fact, theirs.get(fact), ours.get(fact)))
    return Verdict(
        version=version,
        step=step,
        same=sum(1 for fact in theirs if fact in ours and theirs[fact] == ours[fact]),
        better=better,
        differences=differences,
        error="" if failed_there else failed_here,
        unavailable=failed_there,
        mlflow_s=mlflow["seconds"],
        interlock_s=interlock["seconds"],
    )
