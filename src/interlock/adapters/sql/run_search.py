"""Find runs: the first page takes milliseconds, however many there are."""

from __future__ import annotations

from collections.abc import Sequence

from interlock.adapters.sql.database import Readable
from interlock.adapters.sql.dialect import Dialect
from interlock.adapters.sql.search_conditions import Sql, bare, lifecycle_condition
from interlock.adapters.sql.search_layout import Layout, Rows
from interlock.adapters.sql.search_walks import Asked, Walks
from interlock.adapters.sql.searching import page
from interlock.ports.checks import check_limit
from interlock.ports.search import Filter, Lifecycle, OrderBy
from interlock.ports.search_checks import checked_filter, full_order
from interlock.ports.search_fields import RUNS
from interlock.ports.search_order import read_token

LAYOUT = Layout(
    RUNS,
    "runs",
    "id",
    {
        "id": "r.id",
        "name": "r.name",
        "status": "r.status",
        "kind": "r.kind",
        "experiment": "(SELECT name FROM experiments WHERE experiments.id = r.experiment)",
        "parent": "r.parent",
        "user": "r.user_name",
        "started_at": "r.started",
        "ended_at": "r.ended",
    },
    {
        "metric": Rows(
            "run_metrics",
            "run",
            {
                "last": "last",
                "first": "first",
                "min": "low",
                "max": "high",
                "mean": "mean",
                "count": "count",
            },
            nan=True,
            started="started",
        ),
        "param": Rows("run_params", "run", {"": "text"}, is_cut=True, whole="long_text", started="started"),
        "tag": Rows("run_tags", "run", {"": "value"}, is_cut=True, whole="long_value", started="started"),
        "dataset": Rows(
            "run_datasets",
            "run",
            {"name": "name", "digest": "digest", "context": "context"},
            key=None,
            is_cut=True,
            started="started",
        ),
    },
    cut={"name": "r.long_name", "user": None},
    deleted="deleted",
)


def search_runs(
    source: Readable,
    dialect: Dialect,
    *,
    experiments: Sequence[str],
    where: Filter | None,
    order: Sequence[OrderBy],
    lifecycle: Lifecycle,
    limit: int,
    after: str | None,
) -> tuple[list[str], str | None]:
    """Return the ids of one page of runs in order, and what to pass as `after` for the next, None at the end."""
    check_limit(limit)
    condition = checked_filter(where, RUNS)
    keys = full_order(order, RUNS)
    begin = read_token(after, keys, RUNS)
    within: list[Sql] = []
    in_order: list[Sql] = []
    checked: list[Sql] = []
    if experiments:
        numbers = _numbers(source, experiments)
        if not numbers:
            return [], None
        among = f"IN ({', '.join('?' * len(numbers))})"
        within = [bare(f"r.experiment {among}", numbers)]
        checked = [bare(f"+r.experiment {among}", numbers)]
        # of one experiment its index gives the runs by start, of several that of all runs does
        in_order = [bare("r.experiment = ?", numbers)] if len(numbers) == 1 else checked
    state = lifecycle_condition(LAYOUT, lifecycle)
    walks = Walks(
        source,
        dialect,
        LAYOUT,
        within=[*within, *state],
        in_order=[*in_order, *state],
        checked=[*checked, *state],
    )
    return page(walks.first(Asked(condition, keys, begin, limit + 1)), keys, limit)


def _numbers(source: Readable, names: Sequence[str]) -> tuple[int, ...]:
    distinct = tuple(dict.fromkeys(names))
    rows = source.query(f"SELECT id FROM experiments WHERE name IN ({', '.join('?' * len(distinct))})", distinct)
    return tuple(int(number) for (number,) in rows)
