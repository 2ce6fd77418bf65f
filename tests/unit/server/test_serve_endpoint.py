from __future__ import annotations

import socket
from pathlib import Path

import pytest

from interlock.core.errors import InvalidInput, NotFound, PortTaken, Refused
from interlock.server.dataplane import DataPlane
from interlock.server.serve_endpoint import data_plane, run_serve
from interlock.workspace import open_workspace


@pytest.fixture
def uri(tmp_path: Path) -> str:
    with open_workspace(tmp_path / "ws") as workspace:
        return workspace.uri


@pytest.mark.parametrize(
    ("ref", "kind", "words"),
    [
        ("run:01J", InvalidInput, "cannot be served"),
        ("nonsense:x", InvalidInput, "is not a kind of Ref"),
        ("endpoint:delay", NotFound, "delay"),
        ("delay", NotFound, "delay"),
        ("model:delay@1", NotFound, "delay"),
    ],
)
def test_what_cannot_be_served_is_refused_before_anyone_is_answered(
    uri: str, ref: str, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        run_serve(ref, uri, port=0, environ={}, on_ready=lambda url: pytest.fail(f"{url} answers"))


def test_a_workspace_is_not_made_by_serving(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no workspace"):
        run_serve("delay", str(tmp_path / "none"), port=0, environ={})
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_named(uri: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PortTaken):
            run_serve("delay", uri, port=taken.getsockname()[1], environ={})


def test_an_address_beyond_this_machine_needs_a_token(uri: str) -> None:
    with pytest.raises(Refused):
        run_serve("delay", uri, host="0.0.0.0", port=0, environ={})


def test_the_data_plane_beside_a_control_plane_closes_before_the_workspace(uri: str) -> None:
    with open_workspace(uri) as workspace:
        with data_plane(workspace) as app:
            assert isinstance(app, DataPlane)
        assert workspace.stores.journal.last_seq() == 0
