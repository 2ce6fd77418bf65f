"""Every kind of workspace knows who answers for its endpoints."""

from __future__ import annotations

from pathlib import Path

from interlock.adapters.local.endpoint_servers import LocalEndpointServers
from interlock.adapters.remote.endpoint_servers import RemoteEndpointServers
from interlock.workspace import open_workspace


def test_a_folder_has_a_server_of_its_own(tmp_path: Path) -> None:
    with open_workspace(tmp_path / "ws") as workspace:
        assert isinstance(workspace.servers, LocalEndpointServers)
        assert workspace.servers.find() is None and not (workspace.folder / "servers").exists()


def test_a_remote_workspace_is_served_where_it_is(tmp_path: Path) -> None:
    with open_workspace("http://127.0.0.1:9", environ={"XDG_CACHE_HOME": str(tmp_path)}) as workspace:
        assert isinstance(workspace.servers, RemoteEndpointServers)


def test_a_workspace_in_memory_is_served_by_a_thread_that_ends_with_it() -> None:
    import urllib.error
    import urllib.request

    import pytest

    with open_workspace("memory:") as workspace:
        server = workspace.servers.start()
        assert server == workspace.servers.start() == workspace.servers.find()
        assert (server.kind, server.keep) == ("thread", False)
        with urllib.request.urlopen(server.url + "/v2/health/live", timeout=30) as answer:
            assert answer.status == 200
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(server.url + "/v2/health/live", timeout=30)
