"""Answer about datasets and their snapshots."""

from __future__ import annotations

from typing import Any

import msgspec

from interlock.core.errors import Corrupt
from interlock.ports.dataset_store import Snapshot
from interlock.ports.stores import Stores
from interlock.server.view_routes import Limit, NoQuery, Source, View
from interlock.server.views import DatasetDetail

_decode_profile = msgspec.msgpack.Decoder(dict[str, Any]).decode


class DatasetsQuery(msgspec.Struct, frozen=True):
    """Which datasets to list; `after` is the name that ended the last page."""

    after: str = ""
    limit: Limit = 100


def list_datasets(source: Source, query: DatasetsQuery) -> list[Snapshot]:
    """List the newest snapshot of every dataset, by name."""
    return source.stores.datasets.datasets(after=query.after, limit=query.limit)


def get_dataset(source: Source, query: NoQuery, *, name: str) -> DatasetDetail:
    """Return a dataset with its snapshots, newest first, and the profile of the newest."""
    newest = source.stores.datasets.get(name)
    return DatasetDetail(
        name=name,
        snapshots=tuple(source.stores.datasets.snapshots(name)),
        profile=_profile(source.stores, newest),
    )


def _profile(stores: Stores, snapshot: Snapshot) -> dict[str, Any] | None:
    if snapshot.profile is None:
        return None
    data = stores.artifacts.get(snapshot.profile)
    try:
        return _decode_profile(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Corrupt(
            f"the profile of {snapshot.ref} cannot be read", why=str(error), fix="interlock verify"
        ) from error


VIEWS = (
    View(path="/datasets", read=list_datasets, query=DatasetsQuery),
    View(path="/datasets/{name}", read=get_dataset),
)
