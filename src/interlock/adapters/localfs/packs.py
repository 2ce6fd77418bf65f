"""Keep small contents one after the other in append-only files, each compressed where that helps.

An entry is a header of 52 bytes and the stored bytes. Header, little-endian: magic `ILP1`, form (0 plain, 1 zstd,
255 erased), 3 zero bytes, size before compression (u32), stored size (u32), BLAKE3 digest (32 bytes), CRC-32 of
what precedes it. A pack is written by the one process that holds its lock, and only at its end; the single
exception is `erase`, which overwrites a deleted entry in place.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from interlock.adapters.localfs.disk import sync_folder, try_lock, write_at, writing
from interlock.adapters.localfs.index import Index, Place
from interlock.core.errors import Corrupt, NotFound
from interlock.core.hashing import digest_of
from interlock.core.ids import new_id

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACK_BYTES = 64 << 20
_PROBE_BYTES = 4096
_GROUP_BYTES = 4 << 20
_ZSTD_LEVEL = 3
_MAGIC = b"ILP1"
_FIELDS = struct.Struct("<4sB3xII32s")
_CRC = struct.Struct("<I")
HEADER_BYTES = _FIELDS.size + _CRC.size
_PLAIN, _ZSTD, _ERASED = 0, 1, 255


class Header(NamedTuple):
    """What precedes the stored bytes of an entry."""

    form: int
    size_bytes: int
    stored_bytes: int
    digest: str

    def encode(self) -> bytes:
        """Write it as bytes, checksum last."""
        fields = _FIELDS.pack(
            _MAGIC, self.form, self.size_bytes, self.stored_bytes, bytes.fromhex(self.digest.removeprefix("b3:"))
        )
        return fields + _CRC.pack(zlib.crc32(fields))

    @classmethod
    def decode(cls, raw: bytes) -> Header | None:
        """Read it; None where the bytes are no header."""
        if len(raw) < HEADER_BYTES or _CRC.unpack_from(raw, _FIELDS.size) != (zlib.crc32(raw[: _FIELDS.size]),):
            return None
        magic, form, size_bytes, stored_bytes, digest = _FIELDS.unpack_from(raw)
        return cls(form, size_bytes, stored_bytes, "b3:" + digest.hex()) if magic == _MAGIC else None


def encode_entry(digest: str, data: bytes) -> bytes:
    """Write a content as an entry, compressed if its beginning shrinks by compression."""
    probe = data[:_PROBE_BYTES]
    form, body = _PLAIN, data
    if len(zstd.compress(probe, _ZSTD_LEVEL)) < len(probe):
        form, body = _ZSTD, zstd.compress(data, _ZSTD_LEVEL)
    return Header(form, len(data), len(body), digest).encode() + body


def read(folder: Path, place: Place) -> bytes:
    """Return the content at a place.

    Raises:
        Corrupt: The bytes there are not that content.
        NotFound: It was erased there.
    """
    assert place.pack is not None
    path = folder / place.pack
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError as error:
        raise _corrupt(place, "the pack is missing") from error
    try:
        raw = os.pread(file, place.stored_bytes, place.offset)
    finally:
        os.close(file)
    if len(raw) < place.stored_bytes:
        raise _corrupt(place, f"the pack ends after {len(raw)} of its {place.stored_bytes} bytes")
    header = Header.decode(raw)
    if header is not None and header.form == _ERASED:
        raise NotFound(f"there is no content {place.digest}", why="it was deleted")
    expected = (place.size_bytes, place.stored_bytes - HEADER_BYTES, place.digest)
    if header is None or header[1:] != expected:
        raise _corrupt(place, "the header of its entry is damaged")
    data = _content(header, raw[HEADER_BYTES:])
    if data is None:
        raise _corrupt(place, "its bytes do not match the address")
    return data


def _content(header: Header, body: bytes) -> bytes | None:
    data = body
    if header.form == _ZSTD:
        try:
            data = zstd.decompress(body)
        except zstd.ZstdError:
            return None
    return data if len(data) == header.size_bytes and digest_of(data) == header.digest else None


def _corrupt(place: Place, why: str) -> Corrupt:
    return Corrupt(
        f"the content {place.digest} is damaged",
        why=f"{why} (packs/{place.pack} at {place.offset})",
        fix="interlock verify, then delete it and store it again, or restore the pack from a backup",
    )


def erase(folder: Path, place: Place) -> None:
    """Overwrite the entry of a deleted content."""
    assert place.pack is not None
    with suppress(FileNotFoundError):
        file = os.open(folder / place.pack, os.O_RDWR)
        try:
            body = place.stored_bytes - HEADER_BYTES
            nothing = Header(_ERASED, 0, body, "b3:" + "0" * 64).encode()
            write_at(file, nothing + bytes(body), place.offset)
        finally:
            os.close(file)


def scan(file: int, pack: str, start: int) -> tuple[list[Place], int]:
    """Return the intact entries of a pack from an offset on, and where the last one (or an erased one) ends.

    Damaged stretches are skipped up to the next header.
    """
    raw = os.pread(file, os.fstat(file).st_size - start, start)
    found: list[Place] = []
    position = end = 0
    while (position := raw.find(_MAGIC, position)) >= 0:
        header = Header.decode(raw[position : position + HEADER_BYTES])
        after = position + HEADER_BYTES + (header.stored_bytes if header else 0)
        if header is None or after > len(raw):
            position += 1
            continue
        if header.form != _ERASED and _content(header, raw[position + HEADER_BYTES : after]) is not None:
            found.append(Place(header.digest, header.size_bytes, pack, start + position, after - position))
        position = end = after
    return found, start + end


class PackWriter:
    """Append to one pack that this process has to itself; take over another where that is full.

    Thread-safe: one thread appends at a time.
    """

    def __init__(self, folder: Path, index: Index) -> None:
        self._folder = folder
        self._index = index
        self._lock = threading.Lock()
        self._file: int | None = None
        self._name = ""
        self._end = 0

    def put(self, digest: str, data: bytes) -> None:
        """Append a content and its index row; on any failure the pack is cut back to where it was."""
        self.put_many({digest: data})

    def put_many(self, contents: Mapping[str, bytes]) -> None:
        """Append contents and their index rows, as few writes; a failure leaves whole groups of them, or nothing."""
        entries: dict[str, bytes] = {}
        size = 0
        for digest, data in contents.items():
            entries[digest] = encode_entry(digest, data)
            size += len(entries[digest])
            if size >= _GROUP_BYTES:
                self._append(entries, contents)
                entries, size = {}, 0
        if entries:
            self._append(entries, contents)

    def _append(self, entries: Mapping[str, bytes], contents: Mapping[str, bytes]) -> None:
        with self._lock:
            known = {place.digest for place in self._index.find_many(list(entries))}
            entries = {digest: entry for digest, entry in entries.items() if digest not in known}
            if not entries:
                return
            file = self._ready(sum(map(len, entries.values())))
            places, end = [], self._end
            for digest, entry in entries.items():
                places.append(Place(digest, len(contents[digest]), self._name, end, len(entry)))
                end += len(entry)
            stored: list[bool] = []
            try:
                with writing(self._folder / self._name):
                    write_at(file, b"".join(entries.values()), self._end)
                    os.fsync(file)
                with self._index.write():
                    added = [self._index.add(place) for place in places]
                    if any(added):
                        self._index.mark_indexed(self._name, end)
                stored = added
            finally:
                if any(stored):
                    self._end = end
                else:
                    os.ftruncate(file, self._end)
            for place, new in zip(places, stored, strict=True):
                if not new:  # another process put it there meanwhile
                    erase(self._folder, place)

    def _ready(self, needed_bytes: int) -> int:
        if self._file is not None and self._end + needed_bytes > PACK_BYTES:
            self._release()
        if self._file is None:
            self._take(needed_bytes)
        assert self._file is not None
        return self._file

    def _take(self, needed_bytes: int) -> None:
        for path in sorted(self._folder.glob("*.pack")):
            if path.stat().st_size + needed_bytes <= PACK_BYTES and self._open(path, os.O_RDWR):
                return
        while not self._open(self._folder / f"{new_id()}.pack", os.O_RDWR | os.O_CREAT | os.O_EXCL):
            # another process took the new pack before it was locked; it will use it
            pass
        sync_folder(self._folder)

    def _open(self, path: Path, flags: int) -> bool:
        with writing(path):
            file = os.open(path, flags, 0o644)
        if not try_lock(file):
            os.close(file)
            return False
        self._file, self._name = file, path.name
        self._end = adopt(self._folder, file, path.name, self._index)
        return True

    def _release(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file = None

    def close(self) -> None:
        """Give the pack back."""
        with self._lock:
            self._release()


def adopt(folder: Path, file: int, name: str, index: Index) -> int:
    """Index what a killed process left at the end of a locked pack, cut off what is torn, return the new end."""
    start = index.indexed_bytes().get(name, 0)
    size = os.fstat(file).st_size
    if size <= start:
        return size
    entries, end = scan(file, name, start)
    with index.write():
        again = [place for place in entries if not index.add(place)]
        index.mark_indexed(name, end)
    for place in again:
        erase(folder, place)
    os.ftruncate(file, end)
    return end


def adopt_all(folder: Path, index: Index) -> None:
    """Index what killed processes left in any pack; packs in use are left to their processes."""
    known = index.indexed_bytes()
    for path in sorted(folder.glob("*.pack")):
        if path.stat().st_size > known.get(path.name, 0):
            file = os.open(path, os.O_RDWR)
            try:
                if try_lock(file):
                    adopt(folder, file, path.name, index)
            finally:
                os.close(file)
