"""Port: endpoints, and which versions answer behind them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

Role = Literal["live", "canary", "shadow"]


class Deployment(msgspec.Struct, frozen=True):
    """A model version behind an endpoint.

    Args:
        model: Ref of the version (`model:delay@7`).
        role: `live` and `canary` answer callers; `shadow` sees every request and answers none.
        share: The part of traffic that `live` and `canary` answer, 0 to 1; they sum to 1. A shadow has 0.
    """

    model: str
    role: Role
    share: float


class Endpoint(msgspec.Struct, frozen=True):
    """A stable address; its Ref is `endpoint:<name>`.

    Args:
        name: Its name, part of its URL.
        revision: Grows by one with every change of routing.
        deployments: What answers behind it now.
        created_at: When it was first made.
        changed_at: When it was last routed.
        reason: Why it was last routed.
    """

    name: str
    revision: int
    deployments: tuple[Deployment, ...]
    created_at: datetime
    changed_at: datetime
    reason: str = ""

    @property
    def ref(self) -> str:
        """Its Ref as a string."""
        return f"endpoint:{self.name}"


class DeploymentStore(Protocol):
    """Endpoints and their routing.

    Thread-safe and process-safe. `route` replaces the whole routing at once: readers see the old one or the
    new one. With `expect` it is compare-and-swap on the revision and raises `Conflict` when another moved first.
    Exactly one `live` deployment, shares that sum to 1 (±1e-9), no version twice: else `InvalidInput`. History is kept.

    Events: `endpoint.created`, `endpoint.routed`; edge version → `deployment:<endpoint>/<revision>` (`deployed_as`) and
    deployment → endpoint (`serves`).
    """

    @abstractmethod
    def route(
        self, name: str, deployments: Sequence[Deployment], *, expect: int | None = None, reason: str = ""
    ) -> Endpoint:
        """Set what answers behind an endpoint, creating it on first use (`expect=0`: must be new)."""

    @abstractmethod
    def get(self, name: str) -> Endpoint:
        """Return an endpoint."""

    @abstractmethod
    def find(self, name: str) -> Endpoint | None:
        """Return an endpoint or None."""

    @abstractmethod
    def endpoints(self, *, after: str = "", limit: int = 100) -> list[Endpoint]:
        """List endpoints by name."""

    @abstractmethod
    def history(self, name: str, *, limit: int = 100) -> list[Endpoint]:
        """List how an endpoint was routed, newest first."""
