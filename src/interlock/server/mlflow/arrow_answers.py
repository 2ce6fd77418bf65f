"""Answer with Arrow instead of JSON where the client asks for it: as exact as what is stored, and quick to read.

An Arrow answer is one IPC stream. What leads to the next page is `next_page_token` in the metadata of its schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from interlock.core.clock import to_micros
from interlock.ports.experiment_store import Experiment
from interlock.ports.run_store import Run
from interlock.server.http import Request, Response
from interlock.server.mlflow.places import run_uri
from interlock.server.mlflow.run_records import flat_params, lifecycle_of, tags_shown, user_of
from interlock.server.mlflow.wire import packed

if TYPE_CHECKING:
    from interlock.server.mlflow.metrics import Points

ARROW_TYPE = "application/vnd.apache.arrow.stream"


def wants_arrow(request: Request) -> bool:
    """Say whether the client takes Arrow and names it before, or without, JSON."""
    kinds = [part.partition(";")[0].strip() for part in (request.header("accept") or "").split(",")]
    return ARROW_TYPE in kinds and "application/json" not in kinds[: kinds.index(ARROW_TYPE)]


def history_stream(request: Request, points: Points, *, next_page_token: str) -> Response:
    """Answer with points of a series: `timestamp` in microseconds UTC, `step` and `value` as float64."""
    import pyarrow as pa

    columns = {
        "timestamp": pa.array(points.times).cast(_moments()),
        "step": pa.array(points.steps),
        "value": pa.array(points.values),
    }
    return _stream(request, columns, next_page_token)


def runs_stream(
    request: Request, runs: Sequence[Run], experiments: Mapping[str, Experiment], *, next_page_token: str
) -> Response:
    """Answer with a table of runs: a column for each attribute, and for each `metrics.`, `params.` and `tags.` key.

    Args:
        request: What was asked.
        runs: The runs, in order.
        experiments: The experiments they are in, by name.
        next_page_token: What leads to the next page.
    """
    import pyarrow as pa

    homes = [experiments[run.experiment] for run in runs]
    columns: dict[str, Any] = {
        "run_id": pa.array([run.id for run in runs], pa.string()),
        "run_name": pa.array([run.name for run in runs], pa.string()),
        "experiment_id": pa.array([str(home.id) for home in homes], pa.string()),
        "status": pa.array([run.status.upper() for run in runs], pa.string()),
        "start_time": pa.array([to_micros(run.started_at) for run in runs], _moments()),
        "end_time": pa.array([None if run.ended_at is None else to_micros(run.ended_at) for run in runs], _moments()),
        "user_id": pa.array([user_of(run) or None for run in runs], pa.string()),
        "artifact_uri": pa.array([run_uri(home, run.id) for run, home in zip(runs, homes, strict=True)], pa.string()),
        "lifecycle_stage": pa.array([lifecycle_of(run) for run in runs], pa.string()),
    }
    metrics = [{key: summary.last for key, summary in run.metrics.items()} for run in runs]
    params = [dict(flat_params(run.params)) for run in runs]
    tags = [tags_shown(run) for run in runs]
    for prefix, rows, kind in (("metrics", metrics, pa.float64()), ("params", params, pa.string())):
        columns |= _by_key(prefix, rows, kind)
    return _stream(request, columns | _by_key("tags", tags, pa.string()), next_page_token)


def _by_key(prefix: str, rows: Sequence[Mapping[str, Any]], kind: Any) -> dict[str, Any]:
    import pyarrow as pa

    keys = sorted(set().union(*rows))
    return {f"{prefix}.{key}": pa.array([row.get(key) for row in rows], kind) for key in keys}


def _moments() -> Any:
    import pyarrow as pa

    return pa.timestamp("us", tz="UTC")


def _stream(request: Request, columns: Mapping[str, Any], next_page_token: str) -> Response:
    import pyarrow as pa

    table = pa.table(dict(columns))
    if next_page_token:
        table = table.replace_schema_metadata({"next_page_token": next_page_token})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return packed(request, sink.getvalue().to_pybytes(), media_type=ARROW_TYPE)
