"""Turn feedback into labels, and served rows with their truths into training data.

What was served is what is trained on: the inputs come from the prediction log, so training and serving cannot
disagree, and nothing later than the prediction can leak into them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from interlock.core.clock import from_micros
from interlock.core.errors import NotFound
from interlock.core.schema import Signature
from interlock.loop.ground import Ground
from interlock.ports.dataset_store import Snapshot
from interlock.ports.label_store import Annotation, LabelSet
from interlock.ports.prediction_log import JudgedPrediction

if TYPE_CHECKING:
    import pyarrow as pa

PAGE = 10_000
ID, TIME, TRUTH = "prediction_id", "event_time", "truth"


def judged_rows(
    ground: Ground,
    endpoint: str,
    *,
    start: datetime,
    end: datetime,
    model: str | None = None,
    known_by: datetime | None = None,
) -> Iterator[JudgedPrediction]:
    """Yield a period's answers whose truth is known, by event time.

    Args:
        ground: The workspace.
        endpoint: Name of the endpoint.
        start: First event time.
        end: The event time before which it ends.
        model: Only this version's answers, shadows too; without it, the answers that callers saw.
        known_by: Only where the truth was known by then.
    """
    after: tuple[int, str] | None = None
    while True:
        page = ground.stores.predictions.window(endpoint, start=start, end=end, model=model, after=after, limit=PAGE)
        for row in page:
            if row.feedback is not None and (known_by is None or from_micros(row.feedback.known_at) <= known_by):
                yield row
        if len(page) < PAGE:
            return
        after = (page[-1].prediction.event_time, page[-1].prediction.id)


def freeze_labels(ground: Ground, endpoint: str, rows: Sequence[JudgedPrediction], *, known_by: datetime) -> LabelSet:
    """Make the truths of judged rows annotations, and freeze them as the next version of the endpoint's label set.

    Raises:
        NotFound: There are no truths.
    """
    if not rows:
        raise NotFound(
            f"no new truth is known for endpoint '{endpoint}'",
            why=f"none was sent that was known by {known_by.isoformat()}",
            fix=f"POST feedback to /v2/models/{endpoint}/feedback",
        )
    name = f"{endpoint}-outcomes"
    annotations = [
        Annotation(
            id=f"{endpoint}:{row.prediction.id}",
            item=f"prediction:{row.prediction.id}",
            value=row.feedback.truth,
            annotator=row.feedback.source or f"feedback:{endpoint}",
            time=from_micros(row.feedback.known_at),
        )
        for row in rows
        if row.feedback is not None
    ]
    ground.labels.add(name, annotations)
    return ground.labels.freeze(name, as_of=known_by)


def commit_training_rows(
    ground: Ground,
    endpoint: str,
    rows: Sequence[JudgedPrediction],
    *,
    dataset: str,
    signature: Signature,
    labels: LabelSet,
) -> Snapshot:
    """Append judged rows, by event time, to a dataset.

    Columns: the signature's inputs, then `prediction_id`, `event_time` and `truth` (0 or 1).
    """
    first, last = (from_micros(rows[position].prediction.event_time).date() for position in (0, -1))
    return ground.data.commit(
        dataset,
        served_table(rows, signature),
        append=ground.stores.datasets.find(dataset) is not None,
        message=f"served from {first} to {last}, with their truths",
        source=f"endpoint:{endpoint}",
        derived_from=[labels.ref, *_feature_snapshots(ground, rows)],
    )


def _feature_snapshots(ground: Ground, rows: Sequence[JudgedPrediction]) -> list[str]:
    """Return the snapshots that callers said their rows came from, those of them that there are."""
    found = set()
    for named in {row.prediction.context.get("features", "") for row in rows}:
        kind, _, rest = named.partition(":")
        name, _, version = rest.partition("@")
        if kind == "dataset" and version.isdigit():
            snapshot = ground.stores.datasets.find(name, version=int(version))
            found |= {snapshot.ref} if snapshot is not None else set()
    return sorted(found)


def served_table(rows: Sequence[JudgedPrediction], signature: Signature) -> pa.Table:
    """Return served rows as a table; shape (rows, inputs + 3)."""
    import pyarrow as pa

    kinds = {"string": pa.string(), "double": pa.float64(), "long": pa.int64(), "boolean": pa.bool_()}
    columns: dict[str, Any] = {}
    for position, column in enumerate(signature.inputs):
        values = [row.prediction.inputs[position] for row in rows]
        columns[column.name] = pa.array(values, type=kinds[column.type])
    columns[ID] = pa.array([row.prediction.id for row in rows], type=pa.string())
    columns[TIME] = pa.array([row.prediction.event_time for row in rows], type=pa.timestamp("us", tz="UTC"))
    columns[TRUTH] = pa.array([int(row.feedback.truth) for row in rows if row.feedback], type=pa.int8())
    return pa.table(columns)
