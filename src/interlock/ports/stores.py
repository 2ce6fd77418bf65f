"""The bundle of all stores that a workspace is made of."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import get_type_hints

from interlock.ports.artifact_store import ArtifactStore
from interlock.ports.dataset_store import DatasetStore
from interlock.ports.deployment_store import DeploymentStore
from interlock.ports.experiment_store import ExperimentStore
from interlock.ports.feature_store import FeatureViewStore, OnlineStore
from interlock.ports.file_index import FileIndex
from interlock.ports.journal import Journal
from interlock.ports.label_store import LabelStore
from interlock.ports.lease_store import LeaseStore
from interlock.ports.logged_model_store import LoggedModelStore
from interlock.ports.model_catalog import ModelCatalog
from interlock.ports.model_store import ModelStore
from interlock.ports.monitor_store import MonitorStore
from interlock.ports.prediction_log import PredictionLog
from interlock.ports.record_store import RecordStore
from interlock.ports.run_store import RunStore
from interlock.ports.step_cache import StepCache
from interlock.ports.trace_store import TraceStore
from interlock.ports.trigger_store import TriggerStore
from interlock.ports.webhook_store import WebhookStore


@dataclass(frozen=True, kw_only=True)
class Stores:
    """One of each store, all over the same ground, so that they share one journal."""

    journal: Journal
    artifacts: ArtifactStore
    files: FileIndex
    experiments: ExperimentStore
    runs: RunStore
    datasets: DatasetStore
    labels: LabelStore
    features: FeatureViewStore
    online: OnlineStore
    models: ModelStore
    catalog: ModelCatalog
    logged_models: LoggedModelStore
    deployments: DeploymentStore
    predictions: PredictionLog
    monitors: MonitorStore
    triggers: TriggerStore
    leases: LeaseStore
    steps: StepCache
    traces: TraceStore
    webhooks: WebhookStore
    records: RecordStore


def store_ports() -> dict[str, type]:
    """Return the Protocol behind each name of the bundle."""
    hints = get_type_hints(Stores)
    return {field.name: hints[field.name] for field in fields(Stores)}
