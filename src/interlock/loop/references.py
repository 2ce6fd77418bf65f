"""Walk everything in a workspace that refers to stored contents."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple, TypeVar

from interlock.ports.run_store import Run
from interlock.ports.search import Lifecycle
from interlock.ports.stores import Stores

PAGE = 1000
T = TypeVar("T")


class Reference(NamedTuple):
    """A content, and who refers to it."""

    owner: str
    digest: str


def references(stores: Stores, *, without_runs: Collection[str] = ()) -> Iterator[Reference]:
    """Yield every reference to a content, also those of what was deleted and may be restored.

    Args:
        stores: The workspace.
        without_runs: Ids of runs whose references do not count.
    """
    yield from _of_datasets(stores)
    yield from _of_models(stores)
    for run in all_runs(stores, lifecycle="all"):
        if run.id not in without_runs:
            yield from of_run(stores, run.id)
    for entry in _pages(lambda after: stores.files.files(after=after or "", limit=PAGE), lambda one: one.path):
        yield Reference(entry.path, entry.digest)


def all_runs(stores: Stores, *, lifecycle: Lifecycle) -> Iterator[Run]:
    """Yield every run, newest first."""
    after: str | None = None
    while True:
        page = stores.runs.search(lifecycle=lifecycle, limit=PAGE, after=after)
        yield from page.runs
        after = page.after
        if after is None:
            return


def of_run(stores: Stores, run_id: str) -> Iterator[Reference]:
    """Yield what a run refers to."""
    for entry in stores.runs.artifacts(run_id):
        yield Reference(f"run:{run_id}", entry.digest)


def _of_datasets(stores: Stores) -> Iterator[Reference]:
    newest = _pages(lambda after: stores.datasets.datasets(after=after or "", limit=PAGE), lambda one: one.dataset)
    for dataset in newest:
        before: int | None = None
        while snapshots := stores.datasets.snapshots(dataset.dataset, before=before, limit=PAGE):
            for snapshot in snapshots:
                digests = [part.digest for part in snapshot.parts]
                yield from (Reference(snapshot.ref, d) for d in [*digests, snapshot.profile, snapshot.quarantine] if d)
            before = snapshots[-1].version


def _of_models(stores: Stores) -> Iterator[Reference]:
    latest = _pages(lambda after: stores.models.models(after=after or "", limit=PAGE), lambda one: one.model)
    for model in latest:
        before: int | None = None
        while versions := stores.models.versions(model.model, before=before, limit=PAGE):
            for version in versions:
                digests = [file.digest for file in version.files]
                yield from (Reference(version.ref, d) for d in [*digests, version.card, version.example] if d)
            before = versions[-1].version


def _pages(read: Callable[[str | None], list[T]], key: Callable[[T], str]) -> Iterator[T]:
    after: str | None = None
    while page := read(after):
        yield from page
        after = key(page[-1])
