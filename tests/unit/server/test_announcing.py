from __future__ import annotations

import os

import pytest

from interlock.server.announcing import announced
from interlock.workspace import open_workspace


def test_a_server_is_known_as_long_as_it_runs() -> None:
    with open_workspace("memory:") as workspace:
        with announced(workspace.servers, "http://127.0.0.1:1", kind="up", token="secret") as server:
            assert workspace.servers.find() == server == workspace.servers.start()
            assert (server.pid, server.token) == (os.getpid(), "secret")
        assert workspace.servers.find() is None
        with pytest.raises(RuntimeError), announced(workspace.servers, "http://h", kind="up", token=None):
            raise RuntimeError
        assert workspace.servers.find() is None
