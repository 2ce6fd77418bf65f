"""Log pictures, sound, tables and the like, so that they can be shown over steps."""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from interlock.core.errors import InvalidInput
from interlock.core.ids import new_id
from interlock.experiments.figures import PLOTLY_SCRIPT, drawn, plotly_script
from interlock.experiments.pictures import apng, as_array, ply, png, wav
from interlock.experiments.tables import histogram, parquet, to_arrow
from interlock.ports.checks import check_path

FOLDER = "media"
INDEX_FOLDER = "media/index"
"""Holds a JSON file for every time the run was opened; together they list all media."""

_SNIFFED = (
    (b"\x89PNG", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"GIF8", "gif"),
    (b"ID3", "mp3"),
    (b"\xff\xfb", "mp3"),
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"\x1aE\xdf\xa3", "webm"),
    (b"<svg", "svg"),
)
_RIFF = {b"WAVE": "wav", b"WEBP": "webp", b"AVI ": "avi"}


class MediaItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was logged at one step.

    Args:
        kind: `image`, `figure`, `audio`, `video`, `table`, `histogram`, `html` or `points3d`.
        key: What it shows, the same over all steps.
        step: At which step.
        time: Microseconds since 1970 UTC.
        path: Its file, or the one to show first.
        others: Its other files.
        caption: A line about it.
        facts: What a viewer may say of it without opening it (size, rows, seconds).
    """

    kind: str
    key: str
    step: float
    time: int
    path: str
    others: tuple[str, ...] = ()
    caption: str = ""
    facts: dict[str, Any] = {}


class MediaIndex:
    """The media of one opening of a run, as the file that lists them."""

    def __init__(self) -> None:
        self.path = f"{INDEX_FOLDER}/{new_id()}.json"
        self._lock = threading.Lock()
        self._items: list[MediaItem] = []
        self._last: dict[tuple[str, str], float] = {}
        self._written = 0

    def step(self, kind: str, key: str, given: float | None) -> float:
        """Return the step given, or the one after the last of that key."""
        with self._lock:
            step = self._last.get((kind, key), -1.0) + 1 if given is None else float(given)
            if not math.isfinite(step):
                raise InvalidInput(f"{kind} '{key}' has no place", why=f"its step is {given!r}", fix="step=0, 1, 2 …")
            self._last[kind, key] = step
        return step

    def add(self, item: MediaItem) -> None:
        """List one more."""
        with self._lock:
            self._items.append(item)

    def changed(self) -> bytes | None:
        """Return the file if it has changed since this was last asked."""
        with self._lock:
            if len(self._items) == self._written:
                return None
            self._written = len(self._items)
            return msgspec.json.encode({"version": 1, "items": self._items})


def media_path(kind: str, key: str, step: float, ending: str) -> str:
    """Return where a file lies within its run; files of one key sort by step.

    Example:
        >>> media_path("image", "val/worst", 10, "png"), media_path("table", "errors", 0.5, "parquet")
        ('media/image/val/worst/000000010.png', 'media/table/errors/000000000.5.parquet')
    """
    whole, _, fraction = f"{step:.6f}".rstrip("0").rstrip(".").partition(".")
    number = f"{int(whole):09d}" if not whole.startswith("-") else f"-{int(whole[1:]):09d}"
    name = f"{number}.{fraction}" if fraction else number
    return check_path(f"{FOLDER}/{kind}/{key}/{name}.{ending}", of=f"key of {kind}")


class MediaLogging(ABC):
    """The part of an open run that takes media.

    Every method takes a key, the thing, a step (the one after the last of that key, if not given) and a caption.
    """

    _media: MediaIndex

    @abstractmethod
    def _keep(self, path: str, data: bytes) -> None: ...

    @abstractmethod
    def _micros(self) -> int: ...

    def log_image(self, key: str, image: Any, *, step: float | None = None, caption: str = "") -> None:
        """Log a picture: an array, a PIL image, a file, bytes, or a list of any of them.

        Arrays are height × width (× channels) or channels × height × width; fractions are 0 to 1.
        """
        images = image if isinstance(image, (list, tuple)) else [image]
        parts = [_picture(one) for one in images]
        place = self._media.step("image", key, step)
        if len(parts) == 1:
            self._log_media("image", key, place, {parts[0][1]: parts[0][0]}, caption=caption)
            return
        files = {f"{at:03d}.{ending}": data for at, (data, ending) in enumerate(parts)}
        self._log_media("image", key, place, files, caption=caption, facts={"count": len(parts)})

    def log_figure(self, key: str, figure: Any, *, step: float | None = None, caption: str = "") -> None:
        """Log a figure of matplotlib, plotly, Altair, seaborn or plotnine."""
        files = drawn(figure)
        place = self._media.step("figure", key, step)
        if "plotly.json" in files:
            self._keep(check_path(f"{FOLDER}/figure/{key}/{PLOTLY_SCRIPT}", of="key of figure"), plotly_script())
        self._log_media("figure", key, place, files, caption=caption)

    def log_audio(
        self, key: str, audio: Any, *, rate: int = 16_000, step: float | None = None, caption: str = ""
    ) -> None:
        """Log sound: an array (samples, or samples × channels, -1 to 1), a file, or bytes."""
        array = as_array(audio)
        facts: dict[str, Any] = {}
        if array is not None:
            data, ending = wav(array, rate=rate), "wav"
            facts = {"rate": rate, "seconds": max(array.shape) / rate}
        else:
            data, ending = _file(audio, of="sound")
        place = self._media.step("audio", key, step)
        self._log_media("audio", key, place, {ending: data}, caption=caption, facts=facts)

    def log_video(
        self, key: str, video: Any, *, per_second: float = 10.0, step: float | None = None, caption: str = ""
    ) -> None:
        """Log a moving picture: frames (an array with time first, or a list of arrays), a file, or bytes."""
        array = as_array(video)
        facts: dict[str, Any] = {}
        if array is not None or isinstance(video, (list, tuple)):
            frames = [one for one in map(as_array, video if array is None else array) if one is not None]
            data, ending = apng(frames, per_second=per_second), "png"
            facts = {"frames": len(frames), "per_second": per_second}
        else:
            data, ending = _file(video, of="video")
        place = self._media.step("video", key, step)
        self._log_media("video", key, place, {ending: data}, caption=caption, facts=facts)

    def log_table(self, key: str, table: Any, *, step: float | None = None, caption: str = "") -> None:
        """Log a table of Arrow, pandas, polars, columns by name, or rows by name; it is kept as Parquet."""
        arrow = to_arrow(table)
        facts = {"rows": arrow.num_rows, "columns": [str(name) for name in arrow.column_names]}
        place = self._media.step("table", key, step)
        self._log_media("table", key, place, {"parquet": parquet(arrow)}, caption=caption, facts=facts)

    def log_histogram(
        self,
        key: str,
        values: Any,
        *,
        bins: int | Sequence[float] = 64,
        step: float | None = None,
        caption: str = "",
    ) -> None:
        """Log how values are distributed; or counts and edges, as `numpy.histogram` returns them."""
        array = as_array(values)
        counted = histogram(values if array is None else array, bins=bins)
        data = msgspec.json.encode(_without_nan(counted))
        self._log_media("histogram", key, self._media.step("histogram", key, step), {"json": data}, caption=caption)

    def log_html(self, key: str, page: str, *, step: float | None = None, caption: str = "") -> None:
        """Log a piece of HTML; viewers show it in a frame of its own that may do nothing."""
        self._log_media("html", key, self._media.step("html", key, step), {"html": page.encode()}, caption=caption)

    def log_points3d(self, key: str, points: Any, *, step: float | None = None, caption: str = "") -> None:
        """Log points in space: points × 3, × 4 (and a value), or × 6 (and red, green, blue, 0 to 255)."""
        array = as_array(points)
        if array is None:
            import numpy as np

            array = np.asarray(points, dtype=np.float64)
        place = self._media.step("points3d", key, step)
        self._log_media("points3d", key, place, {"ply": ply(array)}, caption=caption, facts={"points": len(array)})

    def log_dict(self, data: Mapping[str, Any] | Sequence[Any], name: str) -> None:
        """Keep plain data as JSON under a path within the run."""
        try:
            text = msgspec.json.encode(data, enc_hook=_as_plain)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInput(
                f"'{name}' cannot be written as JSON", why=str(error), fix="log plain values: numbers, text, lists"
            ) from error
        self._keep(check_path(name, of="path of an artifact"), msgspec.json.format(text, indent=2))

    def _log_media(
        self,
        kind: str,
        key: str,
        step: float,
        files: Mapping[str, bytes],
        *,
        caption: str,
        facts: dict[str, Any] | None = None,
    ) -> None:
        paths = [media_path(kind, key, step, ending) for ending in files]
        for path, data in zip(paths, files.values(), strict=True):
            self._keep(path, data)
        self._media.add(
            MediaItem(kind, key, step, self._micros(), paths[0], tuple(paths[1:]), str(caption), facts or {})
        )


def _picture(image: Any) -> tuple[bytes, str]:
    if hasattr(image, "save") and hasattr(image, "getbands"):
        import io

        data = io.BytesIO()
        image.save(data, format="PNG")
        return data.getvalue(), "png"
    array = as_array(image)
    return (png(array), "png") if array is not None else _file(image, of="picture")


def _file(source: Any, *, of: str) -> tuple[bytes, str]:
    """Return the bytes of a file, and how its name should end."""
    if isinstance(source, (str, Path)):
        path = Path(source)
        if not path.is_file():
            raise InvalidInput(f"'{path}' is not a file", why=f"expected a {of}: an array, a file, or bytes")
        data = path.read_bytes()
        return data, path.suffix.lstrip(".").lower() or _sniffed(data)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source), _sniffed(bytes(source[:16]))
    raise InvalidInput(f"a {type(source).__name__} is no {of}", why="expected an array, a file, or bytes")


def _sniffed(data: bytes) -> str:
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12], "bin")
    if data[4:8] == b"ftyp":
        return "mp4"
    return next((ending for start, ending in _SNIFFED if data.startswith(start)), "bin")


def _as_plain(value: Any) -> Any:
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return value.item()
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a {type(value).__name__} is not plain")


def _without_nan(facts: dict[str, Any]) -> dict[str, Any]:
    return dict(_finite(facts))


def _finite(facts: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in facts.items():
        yield name, None if isinstance(value, float) and not math.isfinite(value) else value
