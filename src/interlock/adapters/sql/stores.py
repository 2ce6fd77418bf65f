"""Put the SQL stores together over one database."""

from __future__ import annotations

from interlock.adapters.sql.artifact_store import SqlArtifactStore
from interlock.adapters.sql.database import Database
from interlock.adapters.sql.dataset_store import SqlDatasetStore
from interlock.adapters.sql.deployment_store import SqlDeploymentStore
from interlock.adapters.sql.experiment_store import SqlExperimentStore
from interlock.adapters.sql.feature_store import SqlFeatureViewStore, SqlOnlineStore
from interlock.adapters.sql.file_index import SqlFileIndex
from interlock.adapters.sql.journal import SqlJournal
from interlock.adapters.sql.label_store import SqlLabelStore
from interlock.adapters.sql.lease_store import SqlLeaseStore
from interlock.adapters.sql.logged_model_store import SqlLoggedModelStore
from interlock.adapters.sql.model_catalog import SqlModelCatalog
from interlock.adapters.sql.model_store import SqlModelStore
from interlock.adapters.sql.monitor_store import SqlMonitorStore
from interlock.adapters.sql.prediction_log import SqlPredictionLog
from interlock.adapters.sql.record_store import SqlRecordStore
from interlock.adapters.sql.run_store import SqlRunStore
from interlock.adapters.sql.schema import migrate
from interlock.adapters.sql.step_cache import SqlStepCache
from interlock.adapters.sql.trace_store import SqlTraceStore
from interlock.adapters.sql.trigger_store import SqlTriggerStore
from interlock.adapters.sql.webhook_store import SqlWebhookStore
from interlock.core.sealing import Seal
from interlock.ports.artifact_store import ArtifactStore
from interlock.ports.stores import Stores


def sql_stores(database: Database, *, artifacts: ArtifactStore | None = None, seal: Seal | None = None) -> Stores:
    """Return the stores over a database, its tables created or brought up to date.

    Args:
        database: Where everything is kept.
        artifacts: Where bytes are kept instead, where that is not the database itself.
        seal: What seals the secrets of webhooks; without one they are kept as they come.
    """
    migrate(database)
    deployments = SqlDeploymentStore(database)
    return Stores(
        journal=SqlJournal(database),
        artifacts=artifacts or SqlArtifactStore(database),
        files=SqlFileIndex(database),
        experiments=SqlExperimentStore(database),
        runs=SqlRunStore(database),
        datasets=SqlDatasetStore(database),
        labels=SqlLabelStore(database),
        features=SqlFeatureViewStore(database),
        online=SqlOnlineStore(database),
        models=SqlModelStore(database),
        catalog=SqlModelCatalog(database, deployments),
        logged_models=SqlLoggedModelStore(database),
        deployments=deployments,
        predictions=SqlPredictionLog(database),
        monitors=SqlMonitorStore(database),
        triggers=SqlTriggerStore(database),
        leases=SqlLeaseStore(database),
        steps=SqlStepCache(database),
        traces=SqlTraceStore(database),
        webhooks=SqlWebhookStore(database, seal=seal),
        records=SqlRecordStore(database),
    )
