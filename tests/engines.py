"""One small cluster of each engine for the session: started once, by the one test worker that its group goes to."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

OBJECT_STORE_BYTES = 100_000_000


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[Any]:
    """Start a Ray cluster of one node on this machine; more can be added, and this process is connected to it."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        environment.setenv("RAY_AUTH_MODE", "disabled")
        # the workers are pure Python, and a cluster of this size needs no large pages or reports
        environment.setenv("RAY_enable_metrics_collection", "0")
        import ray
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 1, "object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=node)
        try:
            ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()


def _dask(*, processes: bool) -> Iterator[str]:
    import distributed

    cluster = distributed.LocalCluster(
        n_workers=2 if processes else 1,
        threads_per_worker=1 if processes else 2,
        processes=processes,
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        silence_logs=logging.CRITICAL,
    )
    try:
        yield cluster.scheduler_address
    finally:
        cluster.close()


@pytest.fixture(scope="session")
def dask_threads() -> Iterator[str]:
    """Start a Dask cluster whose workers are threads of this process; return its address."""
    yield from _dask(processes=False)


@pytest.fixture(scope="session")
def dask_processes() -> Iterator[str]:
    """Start a Dask cluster of two processes; return its address."""
    yield from _dask(processes=True)
