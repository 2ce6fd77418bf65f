"""Bring what Aim keeps: runs with attributes, metrics in contexts, texts and console output."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from interlock.core.clock import from_micros
from interlock.core.errors import Corrupt, InvalidInput
from interlock.core.hashing import digest_of
from interlock.loop.importing.aim_reader import AimReader, AimRun, Column
from interlock.loop.importing.points import Points
from interlock.loop.importing.records import (
    ForeignExperiment,
    ForeignFile,
    ForeignLoggedModel,
    ForeignModel,
    ForeignRun,
)
from interlock.loop.importing.run_ids import run_id_for
from interlock.ports.run_spool import CONSOLE_FILE
from interlock.ports.run_store import Run, Series

EPOCH = "aim.epoch"
"""The series that says to which epoch a step belongs."""
_NUMBERS = ("int", "float")
_SYSTEM_SERIES = "__system__"
_SYSTEM_FACTS = "__system_params"


class Aim:
    """The runs of a repository of Aim.

    Args:
        place: The folder that holds `.aim`, or that folder itself.

    Raises:
        InvalidInput: There is no repository, or one of an older version.
        MissingExtra: The package `aim` is not installed.
    """

    kind = "aim"

    def __init__(self, place: Path) -> None:
        whole = place.resolve()
        self._folder = whole.parent if whole.name == ".aim" else whole
        if not (self._folder / ".aim" / "meta").is_dir():
            raise InvalidInput(f"there is no repository of Aim in {place}", why="it has no folder .aim/meta")
        self._reader = AimReader(self._folder)
        self._runs = self._reader.runs()

    @property
    def uri(self) -> str:
        """Where it is."""
        return str(self._folder)

    def experiments(self) -> Iterator[ForeignExperiment]:
        """Yield the experiments that have runs."""
        yield from (ForeignExperiment(name, name) for name in sorted({one.experiment for one in self._runs}))

    def runs(self, experiment: ForeignExperiment) -> Iterator[ForeignRun]:
        """Yield the runs of an experiment, the oldest first."""
        mine = [one for one in self._runs if one.experiment == experiment.name]
        for one in sorted(mine, key=lambda one: (one.created_at or from_micros(0), one.key)):
            yield self._run(one)

    def _run(self, one: AimRun) -> ForeignRun:
        read, facts, damage = _Read(), dict[str, Any](), None
        try:
            facts = self._reader.facts(one.key)
        except Corrupt as error:
            damage = error
        self._sequences(one, facts, read)
        attributes = dict(facts.get("attrs", {}))
        system = attributes.pop(_SYSTEM_FACTS, {})
        params = _plain(attributes, "", read.left_out)
        read.left_out += (f"file {name}: its content is not in the repository" for name in facts.get("artifacts", {}))
        ended = facts.get("end_time")
        times = [at for at in (read.first_micros, _micros(ended or 0)) if at]
        notes = {
            "aim.tags": ",".join(one.tags),
            "aim.archived": "true" if one.archived else "",
            "mlflow.note.content": one.description,
        }
        run = Run(
            id=run_id_for(one.key, of="aim"),
            experiment=one.experiment,
            kind="training",
            name=one.name,
            status="running" if ended is None else "finished",
            started_at=one.created_at or from_micros(min(times, default=0)),
            ended_at=None if ended is None else from_micros(_micros(ended)),
            params=params,
            tags={name: text for name, text in notes.items() if text},
            code=_code(system.get("git_info")),
            libraries={str(name): str(version) for name, version in (system.get("packages") or {}).items()},
            environment={"client": "aim", **_command(system)},
        )
        # a damaged run fails when it is written, so that what is here of it stays
        series = read.points.series if damage is None else partial(_refuse, damage)
        stamps = (*read.points.counts(), damage is not None)
        return ForeignRun(run, one.key, stamps, series, tuple(read.files), tuple(read.left_out))

    def _sequences(self, one: AimRun, facts: Mapping[str, Any], read: _Read) -> None:
        """Read all sequences of a run."""
        epochs: dict[float, tuple[int, float]] = {}
        disagree = False
        for key, context, name, about in _named(facts):
            kind = about.get("dtype") or "float"
            if kind not in (*_NUMBERS, "aim.text", "aim.log_line"):
                read.left_out.append(f"sequence {key} of kind {kind}")
                continue
            try:
                columns = self._reader.columns(one.key, context, name, version=about.get("version", 1))
            except Corrupt as error:
                read.left_out.append(str(error))
                continue
            if kind not in _NUMBERS:
                read.files += _files(key, kind, columns)
                continue
            for step, value, epoch, micros in _rows(columns):
                read.first_micros = min(read.first_micros or micros, micros)
                read.points.add(key, value, step=step, micros=micros)
                if epoch is not None:
                    disagree |= epochs.setdefault(step, (micros, epoch))[1] != epoch
        if disagree:
            read.left_out.append("epochs: its sequences give different ones to the same step")
            return
        for step, (micros, epoch) in sorted(epochs.items()):
            read.points.add(EPOCH, epoch, step=step, micros=micros)

    def logged_models(self, experiment: ForeignExperiment) -> Iterator[ForeignLoggedModel]:
        """Yield nothing: Aim has none."""
        yield from ()

    def models(self) -> Iterator[ForeignModel]:
        """Yield nothing: Aim has none."""
        yield from ()


def _refuse(damage: Corrupt) -> Iterator[Series]:
    raise damage


@dataclass
class _Read:
    """What was read of the sequences of a run."""

    points: Points = field(default_factory=Points)
    files: list[ForeignFile] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    first_micros: int = 0


def _named(facts: Mapping[str, Any]) -> Iterator[tuple[str, int, str, Mapping[str, Any]]]:
    """Yield the sequences under keys that tell contexts apart, each with its context, name and what is said of it."""
    contexts = facts.get("contexts", {})
    found = []
    for context, names in facts.get("traces", {}).items():
        labels = contexts.get(context) or {}
        found += [(len(labels), json.dumps(labels, sort_keys=True), name, context) for name in names]
    taken = {EPOCH}
    for _, _, name, context in sorted(found):
        plain = key = _key(name, contexts.get(context) or {})
        number = 1
        while key in taken:
            number += 1
            key = f"{plain}.{number}"
        taken.add(key)
        yield key, context, name, facts["traces"][context][name]


def _key(name: str, labels: Mapping[str, Any]) -> str:
    """Name a series: `train/loss` of `{"subset": "train"}`, `gpu:0/loss` of `{"gpu": 0}`."""
    if name.startswith(_SYSTEM_SERIES):
        name = f"system.{name.removeprefix(_SYSTEM_SERIES)}"
    subset = [str(labels["subset"])] if "subset" in labels else []
    return "/".join([*subset, *(f"{label}:{labels[label]}" for label in sorted(labels) if label != "subset"), name])


def _rows(columns: Mapping[str, Column]) -> list[tuple[float, float, float | None, int]]:
    """Return step, value, epoch and time of each point by step; without a column of steps those are the numbers."""
    steps, times, epochs = columns["step"], columns["time"], columns["epoch"]
    rows = [
        (float(steps.get(at, at)), float(value), epochs.get(at), _micros(times.get(at, 0)))
        for at, value in columns["val"].items()
    ]
    return sorted(rows, key=lambda row: row[0])


def _files(key: str, kind: str, columns: Mapping[str, Column]) -> Iterator[ForeignFile]:
    """Yield the texts of a sequence, those of the console as one."""
    texts = sorted(columns["val"].items())
    if kind == "aim.log_line":
        yield _file(CONSOLE_FILE, "\n".join(str(text) for _, text in texts))
        return
    for step, text in texts:
        yield _file(f"media/{_path(key)}/{step}.txt", str(text))


def _path(key: str) -> str:
    """Return a key as a relative path, another for each; parts that cannot be there are quoted."""
    parts = (quote(part, safe=" :") for part in key.split("/"))
    return "/".join(part.replace(".", "%2E") if part in (".", "..") else part or "%2F" for part in parts)


def _file(path: str, text: str) -> ForeignFile:
    data = text.encode()
    return ForeignFile(path, len(data), digest_of(data), partial(iter, [data]))


def _plain(value: Any, where: str, left_out: list[str]) -> Any:
    """Return a param as plain values, without what is of kinds of Aim's own."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        inside = {str(name): (one, f"{where}.{name}".lstrip(".")) for name, one in value.items()}
        return {name: _plain(one, place, left_out) for name, (one, place) in inside.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, f"{where}[{at}]", left_out) for at, one in enumerate(value)]
    left_out.append(f"param {where} of kind {type(value).__name__}")
    return None


def _code(git: Any) -> dict[str, Any]:
    if not git:
        return {}
    return {"vcs": "git", "commit": (git.get("commit") or {}).get("hash") or "", "branch": git.get("branch") or ""}


def _command(system: Mapping[str, Any]) -> dict[str, Any]:
    """Return the command line; the environment variables, which may hold secrets, stay where they are."""
    return {"argv": list(system["arguments"])} if system.get("arguments") else {}


def _micros(seconds: float) -> int:
    return round(seconds * 1e6)
