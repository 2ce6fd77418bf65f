"""Find records that point at contents which are not there."""

from __future__ import annotations

from collections.abc import Iterator

from interlock.ports.artifact_store import Damage
from interlock.ports.stores import Stores

PAGE = 1000


def missing_artifacts(stores: Stores) -> list[Damage]:
    """Name every digest that a snapshot, a model version or a run refers to and the artifact store lacks."""
    missing: dict[str, str] = {}
    for owner, digest in _references(stores):
        if digest not in missing and stores.artifacts.find(digest) is None:
            missing[digest] = owner
    return [
        Damage(digest=digest, problem="is referred to and not stored", where=owner)
        for digest, owner in sorted(missing.items())
    ]


def _references(stores: Stores) -> Iterator[tuple[str, str]]:
    for newest in stores.datasets.datasets(limit=PAGE):
        for snapshot in stores.datasets.snapshots(newest.dataset, limit=PAGE):
            digests = [part.digest for part in snapshot.parts]
            yield from ((snapshot.ref, d) for d in [*digests, snapshot.profile, snapshot.quarantine] if d)
    for latest in stores.models.models(limit=PAGE):
        for version in stores.models.versions(latest.model, limit=PAGE):
            digests = [file.digest for file in version.files]
            yield from ((version.ref, d) for d in [*digests, version.card, version.example] if d)
    before: str | None = None
    while runs := stores.runs.runs(before=before, limit=PAGE):
        for run in runs:
            yield from ((f"run:{run.id}", entry.digest) for entry in stores.runs.artifacts(run.id))
        before = runs[-1].id
