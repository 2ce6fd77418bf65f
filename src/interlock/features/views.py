"""Define feature views, join them point-in-time, and keep their newest values for lookups."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from interlock.core.clock import Clock, SystemClock, aware
from interlock.core.errors import InvalidInput
from interlock.features.definitions import check_names, check_source, check_view
from interlock.features.online import key_of, newest_rows, values_at
from interlock.ports.feature_store import FeatureView, FeatureViewStore, JoinSource, OfflineStore, OnlineStore
from interlock.ports.journal import Journal


class Features:
    """Feature views: the same definition gives training rows (`historical`) and serving rows (`lookup`).

    Args:
        store: Where definitions are kept.
        online: Where the newest values are kept.
        offline: What joins.
        read: Returns the rows of a source by its Ref.
        journal: Where a materialisation is recorded.
        clock: Tells what is too old in a lookup.

    Example:
        >>> features.apply(weather)  # doctest: +SKIP
        >>> rows = features.historical(flights, ["weather"], time="scheduled_at")  # doctest: +SKIP
    """

    def __init__(
        self,
        store: FeatureViewStore,
        online: OnlineStore,
        offline: OfflineStore,
        read: Callable[[str], pa.Table],
        journal: Journal,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._store = store
        self._online = online
        self._offline = offline
        self._read = read
        self._journal = journal
        self._clock = clock or SystemClock()

    def apply(self, view: FeatureView) -> FeatureView:
        """Check a definition, against its source if it names one, and record it.

        Raises:
            InvalidInput: The definition makes no sense.
            SchemaMismatch: Its source does not fit it.
        """
        check_view(view)
        if view.source:
            check_source(view, self._read(view.source).schema)
        return self._store.apply(view)

    def historical(
        self,
        spine: pa.Table,
        views: Sequence[str | FeatureView],
        *,
        time: str,
        tables: Mapping[str, pa.Table] | None = None,
    ) -> pa.Table:
        """Give each row of the spine the features that were known at its time.

        Args:
            spine: The rows, with the key columns of every view.
            views: Names of applied views, or definitions.
            time: The spine's column that says as of when.
            tables: Source rows by name of view, in place of the view's source.

        Returns:
            The spine, its rows in order, with the features beside it.

        Raises:
            SchemaMismatch: A column is missing, of another type, or holds times without a zone; or two columns would
                have one name.
            InvalidInput: A view says nothing of when its rows became known, or has no rows to join.
        """
        sources = [self._source(view, tables or {}) for view in views]
        return self._offline.join(spine, sources, time=time)

    def materialize(self, view: str, table: pa.Table | None = None) -> int:
        """Store the newest row of each key for lookups; a row older than the stored one changes nothing.

        Args:
            view: Name of an applied view.
            table: Its rows; those of its source by default.

        Returns:
            How many rows were new or newer.
        """
        source = self._source(view, {} if table is None else {view: table})
        rows = newest_rows(source.view, source.table)
        written = self._online.write(source.view.ref, rows)
        self._journal.append(
            "feature.materialized", source.view.ref, payload={"rows": source.table.num_rows, "written": written}
        )
        return written

    def lookup(
        self, views: Sequence[str], entities: Sequence[Mapping[str, Any]], *, at: datetime | None = None
    ) -> list[dict[str, Any]]:
        """Return the newest features of some entities.

        Args:
            views: Names of applied views.
            entities: For each row wanted, its key columns by name, as in `{"origin": "JFK"}`.
            at: As of when freshness (`ttl_s`) is judged; now by default.

        Returns:
            For each entity its features by name; None where there is no fresh value.
        """
        moment = aware(at) if at is not None else self._clock.now()
        found: list[dict[str, Any]] = [{} for _ in entities]
        definitions = [self._store.get(name) for name in views]
        check_names(definitions)
        for view in definitions:
            rows = self._online.read(view.ref, [key_of(view, entity) for entity in entities])
            for features, row in zip(found, rows, strict=True):
                features.update(values_at(view, row, moment))
        return found

    def _source(self, view: str | FeatureView, tables: Mapping[str, pa.Table]) -> JoinSource:
        definition = self._store.get(view) if isinstance(view, str) else view
        check_view(definition)
        table = tables.get(definition.name)
        if table is None:
            if not definition.source:
                raise InvalidInput(
                    f"the feature view '{definition.name}' has no rows",
                    why="it names no source dataset and none were given",
                    fix=f'tables={{"{definition.name}": rows}}',
                )
            table = self._read(definition.source)
        check_source(definition, table.schema)
        return JoinSource(definition, table)
