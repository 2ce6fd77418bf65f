"""Answer about the files of a run: folder by folder, the beginning of one, and those that are media over steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec

from interlock.core.errors import NotFound, did_you_mean
from interlock.experiments.gallery import media_of
from interlock.experiments.media import MediaItem
from interlock.ports.run_store import ArtifactEntry
from interlock.server.file_heads import MOST_ROWS, head_of
from interlock.server.view_routes import Limit, NoQuery, Source, View
from interlock.server.views import FileCount, FileFolder, FileHead, MediaEntry, MediaKey, MediaPage, RunFiles

MEDIA = "media/"
_Start = Annotated[int, msgspec.Meta(ge=0)]
_Rows = Annotated[int, msgspec.Meta(ge=1, le=MOST_ROWS)]


class FilesQuery(msgspec.Struct, frozen=True):
    """Which folder to list; `after` is what the page before returned."""

    under: str = ""
    after: str = ""
    limit: Limit = 200


class HeadQuery(msgspec.Struct, frozen=True):
    """Which file to begin; of a table, from which row on and how many rows."""

    path: str
    start: _Start = 0
    rows: _Rows = 100


class ItemsQuery(msgspec.Struct, frozen=True):
    """Which items of a key: from which place on, and how many."""

    start: _Start = 0
    limit: Limit = 50


def counted(files: Iterable[ArtifactEntry]) -> FileCount:
    """Count files and their bytes."""
    sizes = [file.size_bytes for file in files]
    return FileCount(files=len(sizes), size_bytes=sum(sizes))


def list_files(source: Source, query: FilesQuery, *, run_id: str) -> RunFiles:
    """List the folders and files in one folder of a run."""
    start = f"{query.under.removesuffix('/')}/" if query.under else ""
    folders: dict[str, list[ArtifactEntry]] = {}
    here: list[ArtifactEntry] = []
    for file in source.stores.runs.artifacts(run_id):
        if not file.path.startswith(start):
            continue
        inner, slash, _ = file.path[len(start) :].partition("/")
        if slash:
            folders.setdefault(start + inner, []).append(file)
        elif file.path > query.after and len(here) <= query.limit:
            here.append(file)
    return RunFiles(
        under=start.removesuffix("/"),
        folders=tuple(
            FileFolder(path, len(files), sum(file.size_bytes for file in files)) for path, files in folders.items()
        ),
        files=tuple(here[: query.limit]),
        after=here[query.limit - 1].path if len(here) > query.limit else None,
    )


def begin_file(source: Source, query: HeadQuery, *, run_id: str) -> FileHead:
    """Return the beginning of a file of a run."""
    files = {file.path: file for file in source.stores.runs.artifacts(run_id)}
    if query.path not in files:
        raise NotFound(f"the run has no file '{query.path[:200]}'", why=did_you_mean(query.path[:200], files))
    return head_of(files[query.path], source.stores.artifacts, start=query.start, rows=query.rows)


def list_media(source: Source, query: NoQuery, *, run_id: str) -> list[MediaKey]:
    """List what a run logged over steps, by key."""
    steps: dict[tuple[str, str], list[float]] = {}
    for item in _media(source, run_id)[0]:
        steps.setdefault((item.kind, item.key), []).append(item.step)
    return [MediaKey(kind=kind, key=key, steps=tuple(found)) for (kind, key), found in steps.items()]


def list_items(source: Source, query: ItemsQuery, *, run_id: str, kind: str, key: str) -> MediaPage:
    """Return some items of one key."""
    items, files = _media(source, run_id)
    found = [item for item in items if (item.kind, item.key) == (kind, key)]
    return MediaPage(
        start=query.start,
        total=len(found),
        entries=tuple(
            MediaEntry(
                step=item.step,
                time=item.time,
                caption=item.caption,
                facts=item.facts,
                files=tuple(files[path] for path in (item.path, *item.others)),
            )
            for item in found[query.start : query.start + query.limit]
        ),
    )


def _media(source: Source, run_id: str) -> tuple[list[MediaItem], dict[str, ArtifactEntry]]:
    files = source.stores.runs.artifacts(run_id)
    return media_of(files, source.stores.artifacts), {file.path: file for file in files}


VIEWS = (
    View(path="/runs/{run_id}/files", read=list_files, query=FilesQuery),
    View(path="/runs/{run_id}/head", read=begin_file, query=HeadQuery),
    View(path="/runs/{run_id}/media", read=list_media),
    View(path="/runs/{run_id}/media/{kind}/{key}", read=list_items, query=ItemsQuery),
)
