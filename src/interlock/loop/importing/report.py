"""Count what an import found in its source, what it wrote, and what it could not bring."""

from __future__ import annotations

from dataclasses import dataclass, field

MOST_TOLD = 1000
"""Problems that are kept word for word; the others are counted."""


@dataclass
class ExperimentCount:
    """What of one experiment is here, compared with the source run by run.

    Args:
        experiment: Its name.
        runs: Runs in the source.
        written: Runs that were written now.
        unchanged: Runs that were here already, as the source has them.
        failed: Runs that could not be brought.
        points: Metric points of the runs written, each counted once.
        params: Params of the runs written.
        tags: Tags of the runs written.
        files: Files of the runs written.
        bytes: What those files weigh.
        logged_models: Logged models that are here.
    """

    experiment: str
    runs: int = 0
    written: int = 0
    unchanged: int = 0
    failed: int = 0
    points: int = 0
    params: int = 0
    tags: int = 0
    files: int = 0
    bytes: int = 0
    logged_models: int = 0


@dataclass
class ModelCount:
    """What of one registered model is here: versions, aliases, files; `renumbered` had other numbers there."""

    model: str
    versions: int = 0
    written: int = 0
    aliases: int = 0
    files: int = 0
    bytes: int = 0
    renumbered: int = 0


@dataclass
class Problem:
    """One thing that was not brought, and why."""

    thing: str
    why: str


@dataclass
class ImportReport:
    """What an import came to.

    Args:
        source: Where it came from, without secrets.
        kind: The format.
        experiments: What of each experiment is here.
        models: What of each registered model is here.
        problems: What could not be brought.
        more_problems: How many problems there are beyond those.
    """

    source: str
    kind: str
    experiments: list[ExperimentCount] = field(default_factory=list)
    models: list[ModelCount] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    more_problems: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether everything in the source is here."""
        return not self.problems

    def note(self, thing: str, why: str) -> None:
        """Add a problem."""
        if len(self.problems) < MOST_TOLD:
            self.problems.append(Problem(thing, why))
        else:
            self.more_problems += 1
