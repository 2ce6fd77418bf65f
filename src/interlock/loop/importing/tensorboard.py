"""Read TensorBoard event files: scalars, texts, images and hyper-parameters, without TensorFlow.

Source: records are framed as TFRecords (length, masked CRC-32C, data, masked CRC-32C) and hold `Event` messages.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from interlock.core.clock import from_micros
from interlock.core.errors import Corrupt, InvalidInput
from interlock.loop.importing.points import Points
from interlock.loop.importing.protobuf import message, raw, real, text, whole
from interlock.loop.importing.records import (
    ForeignExperiment,
    ForeignFile,
    ForeignLoggedModel,
    ForeignModel,
    ForeignRun,
)
from interlock.loop.importing.run_ids import run_id_for
from interlock.ports.run_store import Run

_PATTERN = "*tfevents*"
_LARGEST_RECORD = 1 << 31
_MASK = 0xA282EAD8
_HPARAMS = "_hparams_/session_start_info"
_UNSAFE = re.compile(r"[^A-Za-z0-9._/-]+")
_FLOAT, _DOUBLE, _INT32, _STRING, _INT64, _BOOL = 1, 2, 3, 7, 9, 10
Message = dict[int, list[int | bytes]]


def _table() -> tuple[int, ...]:
    rows = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        rows.append(byte)
    return tuple(rows)


_CRC = _table()


class TensorBoard:
    """The event files below a folder; each folder that has some is a run.

    Args:
        folder: What TensorBoard is given as its log folder.
        experiment: The experiment here; by default the name of the folder.
    """

    kind = "tensorboard"

    def __init__(self, folder: Path, *, experiment: str = "") -> None:
        self._folder = folder
        self._experiment = experiment or folder.resolve().name or "tensorboard"
        found = folder.rglob(_PATTERN) if folder.is_dir() else ()
        self._runs = sorted({path.parent for path in found if path.is_file()})
        if not self._runs:
            raise InvalidInput(f"there are no event files in {folder}", why=f"no file is called {_PATTERN}")

    @property
    def uri(self) -> str:
        """Where they are."""
        return str(self._folder.resolve())

    def experiments(self) -> Iterator[ForeignExperiment]:
        """Yield the one experiment."""
        yield ForeignExperiment(self._folder.resolve().name, self._experiment)

    def runs(self, experiment: ForeignExperiment) -> Iterator[ForeignRun]:
        """Yield a run for each folder."""
        for folder in self._runs:
            name = folder.relative_to(self._folder).as_posix()
            yield _Events(folder).foreign(name if name != "." else experiment.name, experiment.name, self.uri)

    def logged_models(self, experiment: ForeignExperiment) -> Iterator[ForeignLoggedModel]:
        """Yield nothing: event files have none."""
        yield from ()

    def models(self) -> Iterator[ForeignModel]:
        """Yield nothing: event files have none."""
        yield from ()


class _Events:
    """What the event files of one folder come to."""

    def __init__(self, folder: Path) -> None:
        self._points = Points()
        self._params: dict[str, Any] = {}
        self._media: dict[str, bytes] = {}
        self._left_out: dict[str, int] = {}
        self._times: list[float] = []
        self._broken: list[str] = []
        for path in sorted(folder.glob(_PATTERN)):
            for record in _records(path, self._broken):
                self._take(message(record))

    def _take(self, event: Message) -> None:
        time = real(raw(event, 1)) if 1 in event else 0.0
        self._times = [min([*self._times[:1], time]), max([*self._times[1:], time])]
        for value in message(raw(event, 5)).get(1, ()):
            if isinstance(value, bytes):
                self._take_value(message(value), step=whole(event, 2), micros=round(time * 1e6))

    def _take_value(self, value: Message, *, step: int, micros: int) -> None:
        tag, plugin = text(value, 1), text(message(raw(message(raw(value, 9)), 1)), 1)
        if 2 in value:
            self._points.add(tag, real(raw(value, 2)), step=step, micros=micros)
        elif 4 in value:
            self._media[f"{_path(tag)}/{step}.png"] = raw(message(raw(value, 4)), 4)
        elif tag == _HPARAMS:
            content = raw(message(raw(message(raw(value, 9)), 1)), 2)
            self._take_params(message(raw(message(content), 3)))
        elif 8 in value:
            tensor = message(raw(value, 8))
            if plugin == "scalars" or (not plugin and _is_scalar(tensor)):
                self._points.add(tag, _number(tensor), step=step, micros=micros)
            elif plugin == "text" or (not plugin and whole(tensor, 1) == _STRING):
                texts = [one for one in tensor.get(8, ()) if isinstance(one, bytes)]
                self._media[f"{_path(tag)}/{step}.md"] = b"\n\n".join(texts)
            elif plugin == "images":
                for place, picture in enumerate(one for one in tensor.get(8, [])[2:] if isinstance(one, bytes)):
                    self._media[f"{_path(tag)}/{step}-{place}.png"] = picture
            else:
                self._left_out[plugin or "tensor"] = self._left_out.get(plugin or "tensor", 0) + 1
        elif 5 in value or 6 in value:
            kind = "histogram" if 5 in value else "audio"
            self._left_out[kind] = self._left_out.get(kind, 0) + 1

    def _take_params(self, session: Message) -> None:
        for entry in session.get(1, ()):
            if isinstance(entry, bytes):
                said = message(entry)
                self._params[text(said, 1)] = _struct_value(message(raw(said, 2)))

    def foreign(self, name: str, experiment: str, uri: str) -> ForeignRun:
        """Return the run."""
        started, ended = (self._times + [0.0, 0.0])[:2]
        run = Run(
            id=run_id_for(name, of=f"tensorboard/{uri}"),
            experiment=experiment,
            kind="training",
            name=name,
            status="finished",
            started_at=from_micros(round(started * 1e6)),
            ended_at=from_micros(round(ended * 1e6)),
            params=self._params,
            environment={"client": "tensorboard"},
        )
        left_out = [f"{count} values of kind {kind}" for kind, count in self._left_out.items()]
        files = tuple(_file(path, data) for path, data in sorted(self._media.items()))
        return ForeignRun(
            run, name, tuple(self._points.counts()), self._points.series, files, (*left_out, *self._broken)
        )


def _records(path: Path, broken: list[str]) -> Iterator[bytes]:
    """Yield the records of a file; a last one that is still being written is left out.

    Raises:
        Corrupt: A sum is wrong.
    """
    with path.open("rb") as file:
        while header := file.read(12):
            if len(header) < 12:
                broken.append(f"{path.name} breaks off: what came before is here")
                return
            size, checksum = struct.unpack("<QI", header)
            if _masked(header[:8]) != checksum or size > _LARGEST_RECORD:
                raise Corrupt(f"{path} is damaged", why=f"the sum of a length before byte {file.tell()} is wrong")
            body = file.read(size + 4)
            if len(body) < size + 4:
                broken.append(f"{path.name} breaks off: what came before is here")
                return
            if _masked(body[:size]) != struct.unpack("<I", body[size:])[0]:
                raise Corrupt(f"{path} is damaged", why=f"the sum of a record before byte {file.tell()} is wrong")
            yield body[:size]


def _masked(data: bytes) -> int:
    """Return the masked CRC-32C of some bytes.

    Cost: about 0.1 µs a byte.
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


def _is_scalar(tensor: Message) -> bool:
    return not message(raw(tensor, 2)).get(2) and whole(tensor, 1) in (_FLOAT, _DOUBLE)


def _number(tensor: Message) -> float:
    """Return the number in a tensor of one.

    Raises:
        Corrupt: There is none, or it is of a type that scalars do not have.
    """
    kind, content = whole(tensor, 1), raw(tensor, 4)
    formats = {_FLOAT: "<f", _DOUBLE: "<d", _INT32: "<i", _INT64: "<q"}
    if kind in formats and len(content) == struct.calcsize(formats[kind]):
        return float(struct.unpack(formats[kind], content)[0])
    place = {_FLOAT: 5, _DOUBLE: 6}.get(kind)
    if place is not None and raw(tensor, place):
        return real(raw(tensor, place)[: 4 if kind == _FLOAT else 8])
    raise Corrupt("a scalar cannot be read", why=f"its tensor has the type {kind} and {len(content)} bytes")


def _struct_value(value: Message) -> Any:
    """Return a value of protobuf's `Struct`: a number, text or truth."""
    if 2 in value:
        return real(raw(value, 2))
    if 3 in value:
        return text(value, 3)
    return bool(whole(value, 4)) if 4 in value else None


def _path(tag: str) -> str:
    parts = [_UNSAFE.sub("_", part).strip(".") or "_" for part in tag.strip("/").split("/")]
    return "media/" + "/".join(parts)


def _file(path: str, data: bytes) -> ForeignFile:
    return ForeignFile(path, len(data), "", lambda: iter([data]))
