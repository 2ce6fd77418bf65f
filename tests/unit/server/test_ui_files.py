"""Only the files of the build are served, exactly as built, under a policy that lets nothing else in."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interlock.server.app import App
from interlock.server.ui_files import UiFiles
from tests.unit.server.asgi import Reply, call

PAGE = [("accept", "text/html,application/xhtml+xml")]
INDEX = b"<!doctype html><title>Interlock</title>"
SCRIPT = b"console.log(1)" * 100


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_bytes(INDEX)
    (folder / "favicon.svg").write_bytes(b"<svg/>")
    (folder / "assets" / "main-abc123.js").write_bytes(SCRIPT)
    (folder / "assets" / "main-abc123.js.gz").write_bytes(gzip.compress(SCRIPT))
    (folder / ".secret.txt").write_text("secret")
    (folder / "notes.md").write_text("secret")
    (tmp_path / "outside.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "outside.txt")
    (folder / "linked").symlink_to(tmp_path)
    return folder


@pytest.fixture
def fetch(make_app: Callable[..., App], dist: Path) -> Callable[..., Reply]:
    app = make_app(ui_folder=dist)
    return lambda target, method="GET", **options: call(app, method, target, **options)


def test_files_are_served_with_their_type(fetch: Callable[..., Reply]) -> None:
    script = fetch("/assets/main-abc123.js")
    assert (script.status, script.body) == (200, SCRIPT)
    assert script.headers["content-type"].startswith("text/javascript")
    assert fetch("/favicon.svg").headers["content-type"] == "image/svg+xml"
    assert fetch("/").body == INDEX
    assert fetch("/index.html").body == INDEX


def test_named_builds_are_kept_and_pages_are_checked(fetch: Callable[..., Reply]) -> None:
    assert "immutable" in fetch("/assets/main-abc123.js").headers["cache-control"]
    assert fetch("/").headers["cache-control"] == "no-cache"


def test_a_known_file_is_not_sent_again(fetch: Callable[..., Reply]) -> None:
    etag = fetch("/").headers["etag"]
    for shown in (etag, f"W/{etag}", f'"other", {etag}'):
        reply = fetch("/", headers=[("if-none-match", shown)])
        assert (reply.status, reply.body, reply.headers["etag"]) == (304, b"", etag)
    assert fetch("/", headers=[("if-none-match", '"other"')]).status == 200


def test_packed_files_are_sent_packed(fetch: Callable[..., Reply]) -> None:
    packed = fetch("/assets/main-abc123.js", headers=[("accept-encoding", "gzip, br")])
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == SCRIPT
    assert packed.headers["vary"] == "accept-encoding"
    assert "content-encoding" not in fetch("/", headers=[("accept-encoding", "gzip")]).headers


@pytest.mark.parametrize("target", ["/models/delay", "/runs/01A", "/lineage?ref=model:a@1", "/models/v1.2"])
def test_pages_of_the_application_are_its_index(fetch: Callable[..., Reply], target: str) -> None:
    assert fetch(target, headers=PAGE).body == INDEX
    assert fetch(target).problem.code == "IL404"


@pytest.mark.parametrize("headers", [[], PAGE])
@pytest.mark.parametrize(
    "target",
    ["/../outside.txt", "/..%2foutside.txt", "/%2e%2e/outside.txt", "/%2e%2e%2foutside.txt", "/%252e%252e/outside.txt",
     "/assets/../../outside.txt", "/..%5coutside.txt", "/link.txt", "/linked/outside.txt", "/.secret.txt", "/notes.md",
     "//etc/passwd", "/assets", "/assets/", "/assets/main-abc123.js.gz", "/index.html/", "/assets;/main-abc123.js",
     "/file:///etc/passwd"],
)  # fmt: skip
def test_nothing_else_is_served(fetch: Callable[..., Reply], target: str, headers: Any) -> None:
    reply = fetch(target, headers=headers)
    assert (reply.status, reply.body == INDEX) in ((404, False), (200, True))
    assert b"secret" not in reply.body
    assert reply.status == (200 if headers else 404)


def test_an_api_address_is_never_a_page(fetch: Callable[..., Reply]) -> None:
    assert fetch("/api/v1/nope", headers=PAGE).problem.code == "IL404"
    assert fetch("/api/", headers=PAGE).problem.code == "IL404"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_files_are_only_read(fetch: Callable[..., Reply], method: str) -> None:
    assert fetch("/index.html", method).problem.code == "IL404"


def test_a_page_may_load_from_this_server_only(fetch: Callable[..., Reply]) -> None:
    headers = fetch("/").headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {source for sources in policy.values() for source in sources.split()} == {
        "'none'",
        "'self'",
        "data:",
        "blob:",
    }
    assert (policy["script-src"], policy["frame-src"], policy["media-src"]) == ("'self'", "'self'", "blob:")
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"


def test_a_head_has_the_length_of_the_file(fetch: Callable[..., Reply]) -> None:
    reply = fetch("/", "HEAD")
    assert (reply.body, reply.headers["content-length"]) == (b"", str(len(INDEX)))


def test_without_a_build_the_page_says_how_to_build_it(make_app: Callable[..., App], tmp_path: Path) -> None:
    app = make_app(ui_folder=tmp_path / "nothing")
    reply = call(app, "GET", "/runs", headers=PAGE)
    assert reply.status == 503
    assert b"make ui" in reply.body
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert call(app, "GET", "/favicon.svg").problem.code == "IL404"


def test_a_file_that_came_later_is_not_served(dist: Path) -> None:
    files = UiFiles(dist)
    (dist / "later.txt").write_text("later")
    assert "/later.txt" not in files.paths
    assert "/index.html" in files.paths
