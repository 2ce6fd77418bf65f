"""Collect annotations, freeze them as label sets, and read those as tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pyarrow as pa

from interlock.core.clock import Clock, SystemClock, aware
from interlock.core.errors import InvalidInput, SchemaMismatch
from interlock.core.refs import Ref, check_name
from interlock.ports.journal import Edge
from interlock.ports.label_store import Annotation, LabelSet, LabelStore

_PAGE = 10_000


class Labels:
    """Labels of a task: annotations come in as immutable judgements, versions of all of them are frozen.

    Example:
        >>> labels = Labels(stores.labels)  # doctest: +SKIP
        >>> labels.add("late", [Annotation("1", "flight:7", True, "person:ada", now)])  # doctest: +SKIP
        1
        >>> labels.freeze("late").ref  # doctest: +SKIP
        'labels:late@1'
    """

    def __init__(self, store: LabelStore, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or SystemClock()

    def add(self, name: str, annotations: Sequence[Annotation]) -> int:
        """Add judgements, all or none; return how many were new.

        Raises:
            InvalidInput: One has no id, item or annotator, or a time without a zone.
        """
        check_name(name, of="labels")
        for position, annotation in enumerate(annotations):
            for field in ("id", "item", "annotator"):
                if not getattr(annotation, field):
                    raise InvalidInput(
                        f"annotation {position} for '{name}' has no {field}",
                        why="expected who judged what, under an id of its own",
                        fix=f'Annotation({field}="…", ...)',
                    )
            aware(annotation.time)
        return self._store.add(name, annotations)

    def freeze(self, name: str, *, as_of: datetime | None = None, derived_from: Sequence[str] = ()) -> LabelSet:
        """Make a version of all judgements up to a moment, by default now.

        Args:
            name: The task.
            as_of: Take judgements up to and with this time.
            derived_from: Refs of what was judged.

        Raises:
            NotFound: Nobody has judged anything under that name.
        """
        edges = [Edge(str(Ref.parse(ref)), "", "derived_from") for ref in derived_from]
        return self._store.freeze(name, as_of=aware(as_of) if as_of else self._clock.now(), edges=edges)

    def get(self, ref: str) -> LabelSet:
        """Return a version by name or Ref, by default the newest."""
        parsed = Ref.parse(ref, kind="labels")
        return self._store.get(parsed.name, version=_number(parsed))

    def annotations(self, ref: str) -> list[Annotation]:
        """Return every judgement of a version by id, by default of the newest."""
        labels = self.get(ref)
        found: list[Annotation] = []
        while True:
            page = self._store.annotations(
                labels.name, version=labels.version, after=found[-1].id if found else "", limit=_PAGE
            )
            found += page
            if len(page) < _PAGE:
                return found

    def table(self, ref: str) -> pa.Table:
        """Return a version as a table of item, value, annotator and time, by time.

        Raises:
            SchemaMismatch: Its values are not of one type.
        """
        rows = sorted(self.annotations(ref), key=lambda row: (row.time, row.id))
        try:
            values = pa.array([row.value for row in rows])
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise SchemaMismatch(
                f"the values of '{ref}' are not of one type",
                why=str(error),
                fix="freeze tasks with different kinds of value under different names",
            ) from error
        return pa.table(
            {
                "item": pa.array([row.item for row in rows], pa.string()),
                "value": values,
                "annotator": pa.array([row.annotator for row in rows], pa.string()),
                "time": pa.array([row.time for row in rows], pa.timestamp("us", tz="UTC")),
            }
        )


def _number(ref: Ref) -> int | None:
    if ref.version is not None and ref.number is None:
        raise InvalidInput(
            f"'{ref}' names no label set", why="the version of labels is a number", fix=f"labels:{ref.name}@1"
        )
    return ref.number
