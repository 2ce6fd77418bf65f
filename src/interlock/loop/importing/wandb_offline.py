"""Read the offline runs of Weights & Biases: the transaction log of each run, and the files beside it.

Source: the log is LevelDB's, in blocks of 32 KiB, with plain CRC-32 sums and protobuf records, read here as written by
wandb 0.31.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from interlock.core.clock import from_micros
from interlock.core.errors import Corrupt, InvalidInput
from interlock.loop.importing.files import folder_files, links_out
from interlock.loop.importing.points import Points, numbers_in
from interlock.loop.importing.protobuf import Field, fields, message, raw, text, whole
from interlock.loop.importing.records import (
    ForeignExperiment,
    ForeignLoggedModel,
    ForeignModel,
    ForeignRun,
)
from interlock.loop.importing.run_ids import run_id_for
from interlock.ports.run_store import Run, RunStatus

_BLOCK, _HEADER = 32768, 7
_MAGIC = b":W&B\xe1\xbe"
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_SYSTEM = "system."
_HISTORY, _SUMMARY, _CONFIG, _STATS, _RUN, _EXIT, _ENVIRONMENT = 2, 3, 5, 7, 17, 18, 26
_decode = msgspec.json.Decoder().decode
Message = dict[int, list[int | bytes]]


class WandbOffline:
    """The offline runs below a folder.

    Args:
        folder: A folder `wandb`, one above it, or that of a single run.
        artifacts: Folders to which links among the files of a run may lead.
    """

    kind = "wandb"

    def __init__(self, folder: Path, *, artifacts: tuple[Path, ...] = ()) -> None:
        self._folder = folder
        self._allowed = tuple(one.resolve() for one in artifacts)
        found = sorted(folder.rglob("run-*.wandb")) if folder.is_dir() else []
        self._logs = [path for path in found if not path.parent.is_symlink()]
        if not self._logs:
            raise InvalidInput(
                f"there are no offline runs in {folder}",
                why="expected files run-*.wandb in folders offline-run-*",
                fix="interlock import wandb ./wandb",
            )

    @property
    def uri(self) -> str:
        """Where they are."""
        return str(self._folder.resolve())

    def experiments(self) -> Iterator[ForeignExperiment]:
        """Yield the projects."""
        projects = {_Log(path).project for path in self._logs}
        yield from (ForeignExperiment(project, project) for project in sorted(projects))

    def runs(self, experiment: ForeignExperiment) -> Iterator[ForeignRun]:
        """Yield the runs of a project, the oldest first."""
        for path in self._logs:
            log = _Log(path)
            if log.project == experiment.key:
                yield log.foreign(self._allowed)

    def logged_models(self, experiment: ForeignExperiment) -> Iterator[ForeignLoggedModel]:
        """Yield nothing: offline runs have none."""
        yield from ()

    def models(self) -> Iterator[ForeignModel]:
        """Yield nothing: offline runs register no models."""
        yield from ()


class _Log:
    """What the transaction log of one run comes to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._run: Message = {}
        self._config: dict[str, Any] = {}
        self._summary: dict[str, Any] = {}
        self._environment: Message = {}
        self._points = Points()
        self._status: RunStatus = "running"
        self._last_micros = 0
        self._is_whole = True
        for record in _records(path, self._broken_off):
            for number, value in fields(record):
                if isinstance(value, bytes):
                    self._take(number, value)
        self.project = text(self._run, 3) or "uncategorized"
        self._began = _micros(raw(self._run, 17))

    def _broken_off(self) -> None:
        self._is_whole = False

    def _take(self, number: int, value: bytes) -> None:
        if number == _HISTORY:
            self._take_history(message(value))
        elif number == _RUN:
            self._run = message(value)
            self._configure(raw(self._run, 4))
        elif number == _CONFIG:
            self._configure(value)
        elif number == _SUMMARY:
            for item in message(value).get(1, ()):
                keys, said = _item(item)
                _put(self._summary, keys, said)
        elif number == _STATS:
            said = message(value)
            for item in said.get(3, ()):
                keys, one = _item(item)
                micros = _micros(raw(said, 2))
                for key, figure in numbers_in(one, _SYSTEM + ".".join(keys)):
                    # system metrics have no step: they are placed by the seconds since 1970
                    self._points.add(key, figure, step=micros / 1e6, micros=micros)
        elif number == _EXIT:
            self._status = "failed" if whole(message(value), 1) else "finished"
        elif number == _ENVIRONMENT:
            self._environment = {**self._environment, **message(value)}

    def _take_history(self, record: Message) -> None:
        row = dict(_item(item) for item in record.get(1, ()))
        step = whole(message(raw(record, 2)), 1)
        time = row.pop(("_timestamp",), None)
        micros = round(time * 1e6) if isinstance(time, float | int) else self._last_micros
        self._last_micros = max(self._last_micros, micros)
        for keys, value in row.items():
            if keys[0] not in ("_step", "_runtime"):
                for key, figure in numbers_in(value, ".".join(keys)):
                    self._points.add(key, figure, step=step, micros=micros)

    def _configure(self, config: bytes) -> None:
        said = message(config)
        for item in said.get(1, ()):
            keys, value = _item(item)
            _put(self._config, keys, value)
        for item in said.get(2, ()):
            self._config.pop(_item(item)[0][0], None)

    def foreign(self, allowed: tuple[Path, ...]) -> ForeignRun:
        """Return the run; links among its files are followed to allowed folders."""
        run_id = text(self._run, 1) or self._path.stem.removeprefix("run-")
        entity = text(self._run, 2)
        began = from_micros(self._began)
        summary = {key: value for key, value in self._summary.items() if not key.startswith("_")}
        tags = {
            "wandb.id": run_id,
            "wandb.entity": entity,
            "wandb.tags": ",".join(_texts(self._run.get(10, ()))),
            "wandb.group": text(self._run, 6),
            "wandb.job_type": text(self._run, 7),
            "wandb.sweep": text(self._run, 12),
            "mlflow.note.content": text(self._run, 9),
            "wandb.summary": msgspec.json.encode(summary).decode() if summary else "",
        }
        described = {
            "host": text(self._run, 13),
            "python": text(self._environment, 2),
            "platform": text(self._environment, 1),
        }
        ended = from_micros(max(self._last_micros, self._began))
        run = Run(
            id=run_id_for(run_id, of=f"wandb/{entity}/{self.project}/{self._began}"),
            experiment=self.project,
            kind="training",
            name=text(self._run, 8) or run_id,
            status=self._status,
            started_at=began,
            ended_at=None if self._status == "running" else ended,
            params={key: value for key, value in self._config.items() if key != "_wandb"},
            tags={key: value for key, value in tags.items() if value},
            environment={"client": "wandb"} | {key: value for key, value in described.items() if value},
        )
        broken = () if self._is_whole else (f"{self._path.name} breaks off: what came before is here",)
        folder = self._path.parent / "files"
        files, links = folder_files(folder, allowed=allowed), links_out(folder, allowed=allowed)
        stamps = tuple(self._points.counts())
        return ForeignRun(run, f"{self._path.parent.name}", stamps, self._points.series, files, (*broken, *links))


def _records(path: Path, broken_off: Any) -> Iterator[bytes]:
    """Yield the records of a log, up to where it breaks off.

    Raises:
        InvalidInput: It is not such a log.
        Corrupt: A sum is wrong.
    """
    data = path.read_bytes()
    if not data.startswith(_MAGIC):
        raise InvalidInput(f"{path} is not a transaction log of wandb", why="it begins otherwise")
    at, parts = len(_MAGIC) + 1, bytearray()
    while at + _HEADER <= len(data):
        left = _BLOCK - at % _BLOCK
        if left < _HEADER:
            at += left
            continue
        checksum, size, kind = struct.unpack_from("<IHB", data, at)
        if kind == 0 and size == 0:
            at += left
            continue
        part = data[at + _HEADER : at + _HEADER + size]
        if len(part) < size:
            break
        if zlib.crc32(part, zlib.crc32(bytes([kind]))) != checksum:
            raise Corrupt(f"{path} is damaged", why=f"the sum of the record at byte {at} is wrong")
        if kind in (_FULL, _FIRST):
            parts.clear()
        parts += part
        at += _HEADER + size
        if kind in (_FULL, _LAST):
            yield bytes(parts)
            parts.clear()
    if at < len(data) or parts:
        broken_off()


def _item(item: int | bytes) -> tuple[tuple[str, ...], Any]:
    """Return key and value of an item of a config, a summary, a row or of statistics."""
    found: list[Field] = list(fields(item)) if isinstance(item, bytes) else []
    keys = tuple(_texts(value for number, value in found if number in (1, 2)))
    encoded = next((value for number, value in found if number == 16 and isinstance(value, bytes)), b"null")
    return keys or ("",), _value(encoded)


def _value(encoded: bytes) -> Any:
    try:
        return _decode(encoded)
    except msgspec.DecodeError:
        plain = encoded.decode("utf-8", "replace")
        return float(plain) if plain in ("NaN", "Infinity", "-Infinity") else plain


def _put(into: dict[str, Any], keys: tuple[str, ...], value: Any) -> None:
    for key in keys[:-1]:
        inner = into.get(key)
        if not isinstance(inner, dict):
            inner = into[key] = {}
        into = inner
    into[keys[-1]] = value


def _texts(values: Iterable[int | bytes]) -> list[str]:
    return [value.decode("utf-8", "replace") for value in values if isinstance(value, bytes)]


def _micros(timestamp: bytes) -> int:
    said = message(timestamp)
    return whole(said, 1) * 1_000_000 + whole(said, 2) // 1000
