"""Name what a run stands on, and what is kept of it besides what it logs itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Protocol

from interlock.core.clock import Clock
from interlock.ports.journal import Journal
from interlock.ports.run_spool import RunSpool
from interlock.ports.run_store import Provenance, Run


class Surroundings(Protocol):
    """What a run stands on."""

    spool: RunSpool
    journal: Journal
    clock: Clock

    def provenance(self, *, fresh: bool) -> Provenance:
        """Return under which code and in which environment this happens; if not fresh, as it was for the one before."""
        ...

    def locks(self) -> Mapping[str, bytes]:
        """Return the files that pin the libraries."""
        ...

    def read(self, run_id: str) -> Run | None:
        """Return what the store has of a run, if it can say so at once."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Watching:
    """What is kept of a run besides what it logs itself.

    Args:
        console: Whether what is printed is.
        system_every_s: How often the machine is sampled; 0 for never.
    """

    console: bool = True
    system_every_s: float = 10.0
