"""The deployment store on every backend."""

from __future__ import annotations

from interlock.testing.deployment_store import DEPLOYMENT_STORE_PLAYS, DeploymentStoreContract
from tests.contracts.conftest import Backed, Compared


class TestMemory(Backed, DeploymentStoreContract):
    backend = "memory"


class _Compared(Compared):
    port, plays = "deployments", DEPLOYMENT_STORE_PLAYS


class TestSqlite(_Compared, DeploymentStoreContract):
    backend = "sqlite"


class TestPostgres(_Compared, DeploymentStoreContract):
    backend = "postgres"


class TestRemote(_Compared, DeploymentStoreContract):
    backend = "remote"
