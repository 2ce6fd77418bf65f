"""Read a repository of Aim as plain values, through the package `aim`: nothing else opens its RocksDB."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from interlock.core.errors import Corrupt, InvalidInput, MissingExtra

Column = dict[int, Any]
"""What one column of a sequence holds, by the number Aim gives to a step."""


@dataclass(frozen=True)
class AimRun:
    """One run of Aim.

    Args:
        key: What Aim calls it.
        name: Its name.
        experiment: The name of its experiment.
        description: Its description.
        tags: Its tags.
        archived: Whether it was archived.
        created_at: When it began, if that is known.
    """

    key: str
    name: str
    experiment: str
    description: str
    tags: tuple[str, ...]
    archived: bool
    created_at: datetime | None


class AimReader:
    """A repository of Aim, opened for reading.

    Args:
        folder: The folder that holds `.aim`.

    Raises:
        MissingExtra: The package `aim` is not installed.
        InvalidInput: The repository was written by a version whose successor has to convert it first.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from aim import Repo
            from aimrocks import errors
        except ImportError as error:
            raise MissingExtra(
                "a repository of Aim is read by the package that wrote it",
                why=f"'aim' cannot be imported here: {error}",
                fix="pip install aim (it may need an older Python than this one)",
            ) from error
        # opened without this check, the package would convert it in place
        if Repo.check_repo_status(str(folder)).name != "UPDATED":
            raise InvalidInput(
                f"the repository of Aim in {folder} is of an older version",
                why="the installed package 'aim' would have to convert it, and an import writes nothing to its source",
                fix="copy it, open the copy once with Aim, and import the copy",
            )
        self._repo: Any = Repo(str(folder))
        self._damage: tuple[type[Exception], ...] = (errors.Corruption, errors.RocksIOError, KeyError)

    def runs(self) -> list[AimRun]:
        """Return the runs without their facts, by key."""
        return [self._run(key) for key in sorted(self._repo.list_all_runs())]

    def _run(self, key: str) -> AimRun:
        known = self._repo.structured_db.find_run(key)
        if known is None:
            return AimRun(key, key, "default", "", (), False, None)
        created = known.created_at
        return AimRun(
            key,
            known.name or key,
            known.experiment or "default",
            known.description or "",
            tuple(known.tags),
            bool(known.archived),
            created if created is None or created.tzinfo else created.replace(tzinfo=UTC),
        )

    def facts(self, key: str) -> dict[str, Any]:
        """Return what Aim says of a run.

        Raises:
            Corrupt: It cannot be read.
        """
        try:
            # the part that is the run's own: the index over all of them lags behind and may be empty
            stored = self._repo.request_tree("meta", key, read_only=True).subtree(("meta", "chunks", key)).collect()
        except self._damage as error:
            raise Corrupt(f"run {key} of Aim is damaged", why=str(error)) from error
        return dict(stored)

    def columns(self, key: str, context: int, name: str, *, version: int) -> dict[str, Column]:
        """Return the columns of a sequence: `val`, `step`, `epoch`, `time`.

        Raises:
            Corrupt: They cannot be read.
        """
        place = ("seqs", *([] if version == 1 else [f"v{version}"]), "chunks", key, context, name)
        try:
            tree = self._repo.request_tree("seqs", key, read_only=True).subtree(place)
            # column by column: the steps are hashes, and `collect` would make lists as long as those
            return {column: dict(_texts(tree.subtree(column).items())) for column in ("val", "step", "epoch", "time")}
        except self._damage as error:
            raise Corrupt(f"sequence '{name}' of run {key} of Aim is damaged", why=str(error)) from error


def _texts(items: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
    for at, value in items:
        yield at, getattr(value, "data", value)
