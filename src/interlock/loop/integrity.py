"""Find records that point at contents which are not there."""

from __future__ import annotations

from interlock.loop.references import references
from interlock.ports.artifact_store import Damage
from interlock.ports.stores import Stores


def missing_artifacts(stores: Stores) -> list[Damage]:
    """Name every digest that something in the workspace refers to and the artifact store lacks."""
    missing: dict[str, str] = {}
    for owner, digest in references(stores):
        if digest not in missing and stores.artifacts.find(digest) is None:
            missing[digest] = owner
    return [
        Damage(digest=digest, problem="is referred to and not stored", where=owner)
        for digest, owner in sorted(missing.items())
    ]
