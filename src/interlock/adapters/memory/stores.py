"""Put the memory stores together over one journal."""

from __future__ import annotations

from interlock.adapters.memory.artifact_store import MemoryArtifactStore
from interlock.adapters.memory.dataset_store import MemoryDatasetStore
from interlock.adapters.memory.deployment_store import MemoryDeploymentStore
from interlock.adapters.memory.experiment_store import MemoryExperimentStore
from interlock.adapters.memory.feature_store import MemoryFeatureViewStore, MemoryOnlineStore
from interlock.adapters.memory.file_index import MemoryFileIndex
from interlock.adapters.memory.journal import MemoryJournal
from interlock.adapters.memory.label_store import MemoryLabelStore
from interlock.adapters.memory.lease_store import MemoryLeaseStore
from interlock.adapters.memory.logged_model_store import MemoryLoggedModelStore
from interlock.adapters.memory.model_catalog import MemoryModelCatalog
from interlock.adapters.memory.model_shelf import ModelShelf
from interlock.adapters.memory.model_store import MemoryModelStore
from interlock.adapters.memory.monitor_store import MemoryMonitorStore
from interlock.adapters.memory.prediction_log import MemoryPredictionLog
from interlock.adapters.memory.record_store import MemoryRecordStore
from interlock.adapters.memory.run_store import MemoryRunStore
from interlock.adapters.memory.step_cache import MemoryStepCache
from interlock.adapters.memory.trace_store import MemoryTraceStore
from interlock.adapters.memory.trigger_store import MemoryTriggerStore
from interlock.adapters.memory.webhook_store import MemoryWebhookStore
from interlock.core.clock import Clock, SystemClock
from interlock.ports.stores import Stores


def memory_stores(*, actor: str = "user", clock: Clock | None = None) -> Stores:
    """Return fresh, empty stores that live as long as they are referenced."""
    ticking = clock or SystemClock()
    journal = MemoryJournal(actor=actor, clock=ticking)
    experiments = MemoryExperimentStore(journal, ticking)
    runs = MemoryRunStore(journal, ticking, experiments)
    shelf = ModelShelf()
    deployments = MemoryDeploymentStore(journal, ticking)
    return Stores(
        journal=journal,
        artifacts=MemoryArtifactStore(),
        files=MemoryFileIndex(),
        experiments=experiments,
        runs=runs,
        datasets=MemoryDatasetStore(journal),
        labels=MemoryLabelStore(journal, ticking),
        features=MemoryFeatureViewStore(journal),
        online=MemoryOnlineStore(),
        models=MemoryModelStore(journal, ticking, shelf),
        catalog=MemoryModelCatalog(journal, ticking, shelf, deployments),
        logged_models=MemoryLoggedModelStore(journal, ticking, experiments),
        deployments=deployments,
        predictions=MemoryPredictionLog(journal),
        monitors=MemoryMonitorStore(journal),
        triggers=MemoryTriggerStore(journal),
        leases=MemoryLeaseStore(),
        steps=MemoryStepCache(journal, runs),
        traces=MemoryTraceStore(journal),
        webhooks=MemoryWebhookStore(journal, ticking),
        records=MemoryRecordStore(journal, ticking),
    )
