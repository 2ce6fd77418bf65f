"""Port: registered models, their versions, aliases and gate verdicts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from interlock.core.refs import ref_of
from interlock.core.schema import Signature
from interlock.ports.journal import Edge
from interlock.ports.model_catalog import VersionChange


class PackageFile(msgspec.Struct, frozen=True):
    """One file of a model's `MLmodel` folder."""

    path: str
    digest: str
    size_bytes: int


class ModelVersion(msgspec.Struct, frozen=True):
    """One immutable packaged model; its Ref is `model:<model>@<version>`.

    Args:
        model: Name of the registered model.
        version: 1, 2, 3 …; 0 in a draft.
        created_at: When it was registered.
        files: Its `MLmodel` folder, file by file; none where only a client knows where they lie.
        signature: What it takes and gives.
        flavor: The library it was made with (`sklearn`).
        engine: What serves it (`onnx`, `sklearn`); empty where nothing here can.
        run: Id of the run that trained it, if one did.
        metrics: What it scored when it was registered.
        card: Digest of its card, in Markdown.
        example: Digest of its example rows, as JSON columns.
        facts: Checks made at registration (how closely the engines agree, how much faster).
    """

    model: str
    version: int
    created_at: datetime
    files: tuple[PackageFile, ...]
    signature: Signature
    flavor: str
    engine: str
    run: str | None = None
    metrics: dict[str, float] = {}
    tags: dict[str, str] = {}
    card: str | None = None
    example: str | None = None
    facts: dict[str, Any] = {}

    @property
    def ref(self) -> str:
        """Its Ref as a string."""
        return f"{ref_of('model', self.model)}@{self.version}"


class AliasMove(msgspec.Struct, frozen=True):
    """One change of where an alias points; `version` None means it was removed."""

    model: str
    alias: str
    version: int | None
    previous: int | None
    time: datetime
    reason: str
    verdict: str | None = None


class GateCheck(msgspec.Struct, frozen=True):
    """One rule of a gate, and how it came out.

    Args:
        name: The rule (`auc vs champion`, `auc vs champion where origin=EWR`).
        passed: Whether it held.
        value: The figure it judged.
        low: Lower end of the interval around it.
        high: Upper end.
        threshold: What it was held against.
        detail: The rule in words, with the figures.
    """

    name: str
    passed: bool
    value: float
    low: float | None = None
    high: float | None = None
    threshold: float | None = None
    detail: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """What a gate said about a candidate; its Ref is `verdict:<id>`."""

    id: str
    model: str
    candidate: str
    champion: str | None
    passed: bool
    checks: tuple[GateCheck, ...]
    reason: str
    data: str | None
    created_at: datetime
    stage: str = "gate"


class ModelStore(Protocol):
    """Registered models.

    Thread-safe and process-safe; each method is one transaction with its events and edges. Versions are
    numbered 1, 2, 3 … per model without gaps, also under parallel adds; the first names the model in the
    `ModelCatalog`, where versions are deleted: those are not seen here, and their numbers never used again.
    `set_alias` with `expect` is compare-and-swap (`expect=0`: must not exist yet) and raises `Conflict` when another
    moved it first; history is kept as long as the model. Unknown names raise `NotFound`. An alias is a name that is
    not a number.

    Events: `model.created`, `model.registered`, `model.alias_set`, `gate.passed`, `gate.refused`; edges run → version
    (`produced`), version → verdict and data → verdict (`judged_in`).
    """

    @abstractmethod
    def add_version(
        self,
        draft: ModelVersion,
        *,
        edges: Sequence[Edge] = (),
        notes: VersionChange = VersionChange(),  # noqa: B008 (frozen)
    ) -> ModelVersion:
        """Register a version under the next number; edges with an empty target point to it.

        Args:
            draft: The version, its number 0.
            edges: What it was made of.
            notes: What else is said of it; its tags are added to the draft's.
        """

    @abstractmethod
    def get(self, model: str, *, version: int | None = None, alias: str | None = None) -> ModelVersion:
        """Return a version by number or alias, by default the newest."""

    @abstractmethod
    def find(self, model: str, *, version: int | None = None, alias: str | None = None) -> ModelVersion | None:
        """Return a version by number or alias, by default the newest, or None."""

    @abstractmethod
    def versions(self, model: str, *, before: int | None = None, limit: int = 100) -> list[ModelVersion]:
        """List the versions of a model, newest first."""

    @abstractmethod
    def models(self, *, after: str = "", limit: int = 100) -> list[ModelVersion]:
        """List the newest version of every model, by name."""

    @abstractmethod
    def set_alias(
        self,
        model: str,
        alias: str,
        *,
        version: int | None,
        expect: int | None = None,
        reason: str = "",
        verdict: str | None = None,
    ) -> AliasMove:
        """Point an alias at a version, or remove it."""

    @abstractmethod
    def aliases(self, model: str) -> dict[str, int]:
        """Return where each alias points."""

    @abstractmethod
    def alias_history(self, model: str, *, alias: str | None = None, limit: int = 100) -> list[AliasMove]:
        """List moves, newest first."""

    @abstractmethod
    def add_verdict(self, verdict: Verdict) -> Verdict:
        """Record what a gate said."""

    @abstractmethod
    def verdicts(self, *, model: str | None = None, candidate: str | None = None, limit: int = 100) -> list[Verdict]:
        """List verdicts, newest first."""

    @abstractmethod
    def get_verdict(self, verdict_id: str) -> Verdict:
        """Return one verdict."""
