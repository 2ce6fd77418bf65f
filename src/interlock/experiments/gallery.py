"""Find what of a run's files can be shown over steps: what it listed itself, and what other clients named that way."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from interlock.experiments.media import FOLDER, INDEX_FOLDER, MediaItem
from interlock.ports.artifact_store import ArtifactStore
from interlock.ports.run_store import ArtifactEntry

KINDS = frozenset({"image", "figure", "audio", "video", "table", "histogram", "html", "points3d", "text"})
LONGEST_INDEX_BYTES = 32 * 1024 * 1024
"""A list that is longer is taken for something else."""

_NATIVE = re.compile(r"media/(?P<kind>\w+)/(?P<key>.+)/(?P<step>-?\d{1,18}(?:\.\d{1,6})?)\.(?P<ending>[\w.]{1,20})")
_MLFLOW = re.compile(
    r"images/(?P<key>[^/]+?)(?P<cut>[%+])step(?P=cut)(?P<step>-?\d{1,18})(?P=cut)timestamp(?P=cut)"
    r"(?P<time_ms>\d{1,16})(?P=cut)[0-9a-fA-F-]{36}\.png"
)
_TENSORBOARD = re.compile(r"media/(?P<key>.+)/(?P<step>-?\d{1,18})(?:-\d{1,4})?\.(?P<ending>png|md)")
_INDEX_NAME = f"{INDEX_FOLDER}/"


class _Index(msgspec.Struct, frozen=True):
    version: int
    items: tuple[MediaItem, ...]


def has_media(files: Sequence[ArtifactEntry]) -> bool:
    """Say whether any file of a run can be shown over steps."""
    return any(True for _ in _by_path(file.path for file in files)) or any(
        file.path.startswith(_INDEX_NAME) for file in files
    )


def media_of(files: Sequence[ArtifactEntry], artifacts: ArtifactStore) -> list[MediaItem]:
    """Return the media among the files of a run, by key, then step, then time.

    Files that their run listed come with captions and facts. Others are known by their paths: of a run that has not
    said yet what it logged, of MLflow's `log_image`, brought from TensorBoard. A list that cannot be read counts for
    nothing.
    """
    known = {file.path: file for file in files}
    found: dict[str, MediaItem] = {}
    for file in files:
        if file.path.startswith(_INDEX_NAME) and file.size_bytes <= LONGEST_INDEX_BYTES:
            found |= {item.path: item for item in _listed(file.digest, artifacts) if _is_shown(item, known)}
    named = {path for item in found.values() for path in item.others}
    for item in _by_path(path for path in known if path not in found and path not in named):
        found.setdefault(item.path, item)
    return sorted(found.values(), key=lambda item: (item.kind, item.key, item.step, item.time))


def _listed(digest: str, artifacts: ArtifactStore) -> tuple[MediaItem, ...]:
    try:
        return msgspec.json.decode(artifacts.get(digest), type=_Index).items
    except (msgspec.DecodeError, RecursionError):
        return ()


def _is_shown(item: MediaItem, known: dict[str, ArtifactEntry]) -> bool:
    return item.kind in KINDS and math.isfinite(item.step) and all(path in known for path in (item.path, *item.others))


def _by_path(paths: Iterable[str]) -> Iterator[MediaItem]:
    for path in paths:
        if path.startswith(f"{FOLDER}/"):
            match = _NATIVE.fullmatch(path)
            if match and match["kind"] in KINDS:
                yield MediaItem(match["kind"], match["key"], float(match["step"]), 0, path)
                continue
            match = _TENSORBOARD.fullmatch(path)
            if match and not path.startswith(_INDEX_NAME):
                kind = "image" if match["ending"] == "png" else "text"
                yield MediaItem(kind, match["key"], float(match["step"]), 0, path)
        elif path.startswith("images/"):
            match = _MLFLOW.fullmatch(path)
            if match:
                key = match["key"].replace("~", "/").replace("#", "/")
                yield MediaItem("image", key, float(match["step"]), int(match["time_ms"]) * 1000, path)
