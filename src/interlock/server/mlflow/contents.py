"""Move contents between requests and the artifact store, a megabyte at a time."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from urllib.parse import quote

from interlock.ports.artifact_store import Blob
from interlock.server.http import Answer, Request, StreamResponse
from interlock.server.mlflow.wire import Failure, Ground, invalid

_CHUNK_BYTES = 1024 * 1024
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9!#$&^_.+-]+")
_TEXT = frozenset(
    [
        "bash",
        "cfg",
        "conf",
        "config",
        "csv",
        "css",
        "env",
        "go",
        "html",
        "ini",
        "ipynb",
        "java",
        "js",
        "json",
        "jsonl",
        "jsx",
        "log",
        "md",
        "mjs",
        "mlmodel",
        "mlproject",
        "ndjson",
        "php",
        "properties",
        "py",
        "r",
        "rb",
        "rmd",
        "rs",
        "rst",
        "scala",
        "sh",
        "sql",
        "svg",
        "tex",
        "toml",
        "ts",
        "tsv",
        "tsx",
        "txt",
        "xml",
        "yaml",
        "yml",
    ]
)
_MEDIA = {
    "avif": "image/avif",
    "bmp": "image/bmp",
    "flac": "audio/flac",
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "ogg": "audio/ogg",
    "pdf": "application/pdf",
    "png": "image/png",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webp": "image/webp",
}


async def store(ground: Ground, request: Request) -> Blob:
    """Keep the body of a request."""
    return await ground.workers.run(ground.stores.artifacts.put_stream, ground.workers.pull(_coalesced(request)))


async def _coalesced(request: Request) -> AsyncIterator[bytes]:
    """Yield the body in large pieces: each is handed to another thread."""
    waiting: list[bytes] = []
    size = 0
    async for chunk in request.chunks():
        waiting.append(chunk)
        size += len(chunk)
        if size >= _CHUNK_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


async def send(ground: Ground, request: Request, blob: Blob, *, name: str) -> Answer:
    """Send a content, or the range of it that is asked for, never as something a browser would run."""
    start, stop = _range(request.header("range"), blob.size_bytes)
    own_name = name.rpartition("/")[2]
    headers = [
        (b"content-length", str(stop - start).encode()),
        (b"content-disposition", disposition(own_name)),
        (b"content-security-policy", b"sandbox; default-src 'none'"),
        (b"accept-ranges", b"bytes"),
        (b"etag", f'"{blob.digest[3:]}"'.encode()),
    ]
    status = 200
    if request.header("range") is not None:
        status = 206
        headers.append((b"content-range", f"bytes {start}-{stop - 1}/{blob.size_bytes}".encode()))
    chunks = _cut(ground.stores.artifacts.stream(blob.digest), start, stop)
    return StreamResponse(
        chunks=ground.workers.iterate(chunks),
        media_type=media_type(own_name),
        headers=tuple(headers),
        status=status,
    )


def disposition(name: str) -> bytes:
    """Return the header that has a browser save a content under its name rather than show it."""
    if _PLAIN_NAME.fullmatch(name):
        return f"attachment; filename={name}".encode()
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}".encode()


def media_type(name: str) -> str:
    """Return the media type that goes with the name of a file: of a kind that no browser runs, whatever is in it."""
    kind = name.rpartition(".")[2].lower()
    return "text/plain" if kind in _TEXT else _MEDIA.get(kind, "application/octet-stream")


def _range(header: str | None, size: int) -> tuple[int, int]:
    if header is None:
        return 0, size
    found = _RANGE.fullmatch(header.strip())
    if found is None:
        raise invalid("Only one range of bytes can be asked for.")
    start, stop = int(found[1]), min(int(found[2]) + 1 if found[2] else size, size)
    if not start < stop:
        raise Failure("INVALID_PARAMETER_VALUE", f"The content has {size} bytes.", status=416)
    return start, stop


def _cut(chunks: Iterator[bytes], start: int, stop: int) -> Iterator[bytes]:
    at = 0
    for chunk in chunks:
        begin, end = max(start - at, 0), min(stop - at, len(chunk))
        if begin < end:
            yield chunk[begin:end] if (begin, end) != (0, len(chunk)) else chunk
        at += len(chunk)
        if at >= stop:
            return
