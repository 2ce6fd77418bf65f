"""Port: models that runs logged, before anybody registers them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from interlock.ports.search import Filter, Lifecycle, OrderBy

LoggedModelStatus = Literal["pending", "ready", "failed"]


class ModelMetric(msgspec.Struct, frozen=True):
    """One figure of a logged model, perhaps on a dataset; `time` is microseconds since 1970 UTC."""

    key: str
    value: float
    step: float
    time: int
    run: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class LoggedModel(msgspec.Struct, frozen=True):
    """A model as a run, or nobody, logged it; its files are at `models/<id>/` of the file index.

    Args:
        id: Comes from the caller (`m-` and 32 hex digits).
        experiment: Name of its experiment.
        name: A name for people.
        created_at: When it was created.
        updated_at: When it last changed.
        run: Id of the run that made it, if one did.
        kind: What kind of model it is, in the caller's words.
        status: Whether its files are complete.
        status_message: Why it failed.
        params: Its parameters.
        tags: Short strings.
        metrics: What was measured of it: of equal key, dataset and run the last by step, time and value.
        deleted_at: When it was deleted, if it was.
    """

    id: str
    experiment: str
    name: str
    created_at: datetime
    updated_at: datetime
    run: str | None = None
    kind: str = ""
    status: LoggedModelStatus = "pending"
    status_message: str = ""
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: tuple[ModelMetric, ...] = ()
    deleted_at: datetime | None = None


class LoggedModelChange(msgspec.Struct, frozen=True):
    """What to change of a logged model; what is None stays; a param keeps its first value."""

    status: LoggedModelStatus | None = None
    status_message: str | None = None
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    remove_tags: tuple[str, ...] = ()
    deleted: bool | None = None


class DatasetMeant(msgspec.Struct, frozen=True):
    """A dataset on which the metrics of a search are meant; an empty digest means any."""

    name: str
    digest: str = ""


class LoggedModelPage(msgspec.Struct, frozen=True):
    """Some logged models, and what to pass as `after` for the next ones, None at the end."""

    models: tuple[LoggedModel, ...]
    after: str | None


class LoggedModelStore(Protocol):
    """Logged models.

    Thread-safe and process-safe; every method is one transaction with its events and edges. An id used before raises
    `Conflict`, an unknown one `NotFound`; a param with another value raises `Conflict` and nothing is written. Exact
    duplicates of a metric are kept once. Deleted models are found only where asked for.

    Searchable attributes: `id`, `name`, `kind`, `status`, `run`, `created_at`, `updated_at`; metrics, params, tags.

    Events: `logged_model.created`, `logged_model.ready`, `logged_model.failed`, `logged_model.deleted`; edge run →
    model (`produced`), with the Ref `artifact:models/<id>`.
    """

    @abstractmethod
    def create(self, model: LoggedModel) -> LoggedModel:
        """Record a model that begins, with its params and tags."""

    @abstractmethod
    def get(self, model_id: str) -> LoggedModel:
        """Return a model that is not deleted."""

    @abstractmethod
    def update(self, model_id: str, change: LoggedModelChange) -> LoggedModel:
        """Finalise, tag, delete or restore a model."""

    @abstractmethod
    def log_metrics(self, model_id: str, metrics: Sequence[ModelMetric]) -> None:
        """Add figures to a model."""

    @abstractmethod
    def search(
        self,
        *,
        experiments: tuple[str, ...] = (),
        where: Filter | None = None,
        datasets: tuple[DatasetMeant, ...] = (),
        order: tuple[OrderBy, ...] = (),
        lifecycle: Lifecycle = "active",
        limit: int = 100,
        after: str | None = None,
    ) -> LoggedModelPage:
        """Find models of some experiments, newest first where the order leaves a choice."""

    @abstractmethod
    def delete(self, model_id: str) -> bool:
        """Forget a model for good; return whether it was there."""
