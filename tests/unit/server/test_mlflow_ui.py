"""The web interface of the user's own MLflow: its files, its calls, and nothing beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from interlock.core.errors import NotFound
from interlock.server.app import App
from interlock.server.mlflow_ui import find_build
from tests.unit.server.asgi import Reply, call

INDEX = b"<!doctype html><title>MLflow</title><script src='static-files/static/js/main.1.js'></script>"
SEARCH = "/ajax-api/2.0/mlflow/experiments/search?max_results=5"
Fetch = Callable[..., Reply]


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """Return a Python environment with MLflow's build in it."""
    build = tmp_path / "venv" / "lib" / "python3.11" / "site-packages" / "mlflow" / "server" / "js" / "build"
    (build / "static" / "js").mkdir(parents=True)
    (build / "index.html").write_bytes(INDEX)
    (build / "static" / "js" / "main.1.js").write_bytes(b"run()")
    (build / "notes.py").write_text("secret")
    (tmp_path / "outside.txt").write_text("secret")
    (build / "static" / "out.txt").symlink_to(tmp_path / "outside.txt")
    return tmp_path / "venv"


@pytest.fixture
def fetch(make_app: Callable[..., App], environment: Path) -> Fetch:
    app = make_app(mlflow_ui=find_build(environment))
    return lambda target, method="GET", **options: call(app, method, target, **options)


def test_the_page_and_its_files_are_shown(fetch: Fetch) -> None:
    page = fetch("/mlflow/")
    assert (page.status, page.body, page.headers["cache-control"]) == (200, INDEX, "no-cache")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    script = fetch("/mlflow/static-files/static/js/main.1.js")
    assert (script.body, script.headers["content-type"]) == (b"run()", "text/javascript; charset=utf-8")
    assert "immutable" in script.headers["cache-control"]
    assert fetch("/mlflow/", "HEAD").body == b""


def test_without_its_slash_it_leads_to_the_page(fetch: Fetch) -> None:
    reply = fetch("/mlflow")
    assert (reply.status, reply.headers["location"]) == (308, "/mlflow/")


def test_its_calls_are_answered_as_those_of_a_client(fetch: Fetch) -> None:
    reply = fetch(f"/mlflow{SEARCH}")
    assert (reply.status, reply.body) == (200, fetch(SEARCH).body)
    assert fetch("/mlflow/version").body == fetch("/version").body
    missing = fetch("/mlflow/ajax-api/2.0/mlflow/runs/get?run_id=nobody")
    assert (missing.status, missing.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


@pytest.mark.parametrize(
    "target",
    [
        "/mlflow/static-files/static/out.txt",
        "/mlflow/static-files/notes.py",
        "/mlflow/static-files/../index.html",
        "/mlflow/static-files/%2e%2e/index.html",
        "/mlflow/index.html",
        "/mlflow/api/v1",
        "/mlfl%6Fw/ajax-api/2.0/mlflow/experiments/search",
        "/mlflow/mlflow/",
    ],
)
def test_nothing_else_is_reached(fetch: Fetch, target: str) -> None:
    assert fetch(target).status == 404


def test_nothing_is_written_to_its_files(fetch: Fetch) -> None:
    assert fetch("/mlflow/", "POST").status == 404


def test_a_token_guards_its_calls_and_not_its_page(make_app: Callable[..., App], environment: Path) -> None:
    app = make_app(mlflow_ui=find_build(environment), token="t0ken")
    assert call(app, "GET", "/mlflow/").status == 200
    assert call(app, "GET", f"/mlflow{SEARCH}").status == 401
    shown = call(app, "GET", f"/mlflow{SEARCH}", headers=[("authorization", "Bearer t0ken")])
    assert shown.status == 200


def test_without_it_the_address_is_like_any_other(make_app: Callable[..., App]) -> None:
    assert call(make_app(), "GET", f"/mlflow{SEARCH}").status == 404


def test_it_is_found_from_the_environment_the_package_and_the_build(environment: Path) -> None:
    build = find_build(environment)
    package = build.parents[2]
    assert {find_build(place) for place in (build, package, package.parent)} == {build}


def test_a_place_without_it_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no web interface of MLflow") as told:
        find_build(tmp_path)
    assert "pip install mlflow" in told.value.fix
