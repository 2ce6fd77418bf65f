"""Contents are sent by address only, as downloads that no browser will run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from interlock.core.errors import Corrupt
from interlock.ports.stores import Stores
from tests.unit.server.conftest import Get


def test_a_content_is_sent_whole(stores: Stores, get: Get) -> None:
    digest = stores.artifacts.put(b"<script>alert(1)</script>").digest
    reply = get(f"/api/v1/artifacts/{digest}")
    assert (reply.status, reply.body, reply.ended) == (200, b"<script>alert(1)</script>", True)
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["content-disposition"].startswith("attachment")
    assert reply.headers["content-security-policy"].startswith("sandbox")
    assert reply.headers["content-length"] == "25"
    assert "immutable" in reply.headers["cache-control"]


def test_an_escaped_address_is_the_same_address(stores: Stores, get: Get) -> None:
    digest = stores.artifacts.put(b"x").digest
    assert get("/api/v1/artifacts/" + digest.replace(":", "%3A")).body == b"x"


@pytest.mark.parametrize(
    "digest",
    ["..%2f..%2fetc%2fpasswd", "%2e%2e", "b3:", "b3:" + "0" * 63, "b3:" + "G" * 64, "sha256:" + "0" * 64,
     "b3:" + "0" * 64 + "%2f..", "file:%2f%2f%2fetc%2fpasswd", "C:%5cwindows", "%252e%252e%252f"],
)  # fmt: skip
def test_what_is_no_address_is_400(get: Get, digest: str) -> None:
    assert get(f"/api/v1/artifacts/{digest}").problem.code == "IL400"


def test_an_unknown_address_is_404(get: Get) -> None:
    assert get("/api/v1/artifacts/b3:" + "0" * 64).problem.code == "IL404"


def test_a_damaged_content_is_not_ended(stores: Stores, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = stores.artifacts.put(b"ab").digest

    def broken(self: Any, digest: str) -> Iterator[bytes]:
        yield b"a"
        raise Corrupt("damaged")

    monkeypatch.setattr(type(stores.artifacts), "stream", broken)
    reply = get(f"/api/v1/artifacts/{digest}")
    assert (reply.body, reply.ended) == (b"a", False)
