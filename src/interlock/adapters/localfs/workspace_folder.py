"""Make a folder a workspace, or see that it is one, without touching what else it may hold."""

from __future__ import annotations

import errno
from pathlib import Path

import msgspec

from interlock.core.errors import Corrupt, InvalidInput, NotFound, StorageFull, Unavailable
from interlock.core.ids import new_id
from interlock.core.settings import FOLDER

MARKER = "workspace.json"
FORMAT = 1


class Marker(msgspec.Struct, frozen=True):
    """What makes a folder a workspace.

    Args:
        format: Layout of the folder.
        id: Of this workspace, for ever.
    """

    format: int
    id: str


def prepare_folder(folder: Path, *, create: bool) -> None:
    """See that a folder is a workspace, or make it one.

    Raises:
        NotFound: It is none, and `create` is False.
        InvalidInput: It is a file, holds something else, or was made by a newer version.
        Corrupt: Its marker is damaged.
        StorageFull: The disk is full.
        Unavailable: It cannot be made.
    """
    marker = folder / MARKER
    if marker.is_file():
        _read_marker(marker)
        return
    if folder.exists() and not folder.is_dir():
        raise InvalidInput(f"{folder} is a file", why="a workspace is a folder", fix="interlock --dir FOLDER …")
    if not create:
        raise NotFound(
            f"there is no workspace at {folder}",
            why=f"neither this folder nor one above it holds {FOLDER}",
            fix="interlock demo, or interlock --dir FOLDER …",
        )
    if folder.exists() and any(not entry.name.startswith(MARKER) for entry in folder.iterdir()):
        if marker.is_file():  # another process made it one since the first look: the marker comes before all else
            return
        raise InvalidInput(
            f"{folder} is not a workspace",
            why=f"it holds files but no {MARKER}",
            fix="name an empty or a new folder: interlock --dir FOLDER …",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f"{MARKER}.{new_id()}"
        draft.write_bytes(msgspec.json.encode(Marker(format=FORMAT, id=new_id())))
        try:
            # a hard link fails where the marker exists: of two processes that create at once, one wins
            marker.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(
                f"{folder} cannot be made", why="the disk is full", fix="free some space and run again"
            ) from error
        raise Unavailable(f"{folder} cannot be made", why=str(error), fix="choose another folder with --dir") from error


def _read_marker(path: Path) -> Marker:
    try:
        marker = msgspec.json.decode(path.read_bytes(), type=Marker)
    except msgspec.MsgspecError as error:
        raise Corrupt(
            f"{path} is damaged", why=f"it is not a workspace marker: {error}", fix="restore the file from a backup"
        ) from error
    if marker.format > FORMAT:
        raise InvalidInput(
            f"{path.parent} has layout {marker.format}, and this Interlock knows {FORMAT}",
            why="a newer version of Interlock made it",
            fix="pip install --upgrade interlock",
        )
    return marker
