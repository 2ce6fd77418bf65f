"""Keep contents in the database, in chunks, for workspaces without a folder of their own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import IO

from interlock.adapters.sql.database import Database
from interlock.core.errors import Corrupt, NotFound
from interlock.core.hashing import Hasher, check_digest, digest_of
from interlock.ports.artifact_store import ArtifactStore, Blob, Damage

SCHEMA = (
    "CREATE TABLE artifacts (digest TEXT PRIMARY KEY, size_bytes INTEGER NOT NULL)",
    """CREATE TABLE artifact_chunks (
        digest TEXT NOT NULL REFERENCES artifacts (digest) ON DELETE CASCADE, number INTEGER NOT NULL,
        data BLOB NOT NULL, PRIMARY KEY (digest, number))""",
)

_CHUNK_BYTES = 1 << 20
_ASKED_AT_ONCE = 500
_IN_MEMORY_BYTES = 8 << 20


class SqlArtifactStore(ArtifactStore):
    """Contents as rows of at most 1 MiB."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, data: bytes) -> Blob:
        return self.put_stream(iter((data,)))

    def put_many(self, contents: Sequence[bytes]) -> list[Blob]:
        if any(len(data) > _CHUNK_BYTES for data in contents):
            return [self.put(data) for data in contents]
        digests = [digest_of(data) for data in contents]
        named = dict(zip(digests, contents, strict=True))
        blobs = {digest: Blob(digest, len(data)) for digest, data in named.items()}
        known = {blob.digest for blob in self.find_many(list(named))}
        new = [blob for digest, blob in sorted(blobs.items()) if digest not in known]
        if new:
            with self._database.write() as tx:
                rows = [(blob.digest, blob.size_bytes) for blob in new]
                tx.insert("artifacts (digest, size_bytes)", rows, then="ON CONFLICT DO NOTHING")
                chunks = [(blob.digest, 0, named[blob.digest]) for blob in new if blob.size_bytes]
                tx.insert("artifact_chunks (digest, number, data)", chunks, then="ON CONFLICT DO NOTHING")
        return [blobs[digest] for digest in digests]

    def find_many(self, digests: Sequence[str]) -> list[Blob]:
        asked = list(dict.fromkeys(check_digest(digest) for digest in digests))
        found: list[Blob] = []
        for start in range(0, len(asked), _ASKED_AT_ONCE):
            part = asked[start : start + _ASKED_AT_ONCE]
            marks = ", ".join("?" * len(part))
            rows = self._database.query(f"SELECT digest, size_bytes FROM artifacts WHERE digest IN ({marks})", part)
            found += [Blob(*row) for row in rows]
        return found

    def put_stream(self, chunks: Iterator[bytes]) -> Blob:
        # the caller's iterator runs outside the transaction: it may be slow, and may itself use the database
        hasher = Hasher()
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as spool:
            for chunk in chunks:
                hasher.update(chunk)
                spool.write(chunk)
            spool.seek(0)
            blob = Blob(hasher.digest(), hasher.size_bytes)
            if self.find(blob.digest) is None:
                self._insert(blob, spool)
        return blob

    def _insert(self, blob: Blob, content: IO[bytes]) -> None:
        with self._database.write() as tx:
            new = tx.execute(
                "INSERT INTO artifacts (digest, size_bytes) VALUES (?, ?) ON CONFLICT DO NOTHING",
                (blob.digest, blob.size_bytes),
            )
            number = 0
            while new and (chunk := content.read(_CHUNK_BYTES)):
                tx.execute(
                    "INSERT INTO artifact_chunks (digest, number, data) VALUES (?, ?, ?)", (blob.digest, number, chunk)
                )
                number += 1

    def get(self, digest: str) -> bytes:
        return b"".join(self.stream(digest))

    def stream(self, digest: str) -> Iterator[bytes]:
        blob = self.find(digest)
        if blob is None:
            raise NotFound(f"there is no content {digest}", why="it was never stored here, or it was deleted")
        return self._verified(blob)

    def _verified(self, blob: Blob) -> Iterator[bytes]:
        hasher = Hasher()
        held = b""
        for number in range(-(-blob.size_bytes // _CHUNK_BYTES)):
            row = self._database.one(
                "SELECT data FROM artifact_chunks WHERE digest = ? AND number = ?", (blob.digest, number)
            )
            chunk = row[0] if row else b""
            hasher.update(chunk)
            if held:
                yield held
            held = chunk
        if hasher.digest() != blob.digest:
            raise Corrupt(
                f"the stored bytes of {blob.digest} are damaged",
                why=f"expected {blob.size_bytes} bytes of that hash, got {hasher.size_bytes} of {hasher.digest()}",
                fix="interlock verify",
            )
        if held:
            yield held

    def find(self, digest: str) -> Blob | None:
        row = self._database.one("SELECT size_bytes FROM artifacts WHERE digest = ?", (check_digest(digest),))
        return Blob(digest, row[0]) if row else None

    def blobs(self, *, after: str = "", limit: int = 1000) -> list[Blob]:
        rows = self._database.query(
            "SELECT digest, size_bytes FROM artifacts WHERE digest > ? ORDER BY digest LIMIT ?", (after, limit)
        )
        return [Blob(*row) for row in rows]

    def delete(self, digest: str) -> bool:
        with self._database.write() as tx:
            return tx.execute("DELETE FROM artifacts WHERE digest = ?", (check_digest(digest),)) > 0

    def check(self) -> list[Damage]:
        damaged: list[Damage] = []
        after = ""
        while page := self.blobs(after=after):
            for blob in page:
                try:
                    for _ in self._verified(blob):
                        pass
                except Corrupt as error:
                    damaged.append(Damage(blob.digest, error.why, "table artifact_chunks"))
            after = page[-1].digest
        return damaged
