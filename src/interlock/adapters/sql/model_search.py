"""Find registered models, their versions, and logged models."""

from __future__ import annotations

from collections.abc import Sequence

from interlock.adapters.sql.database import Database
from interlock.adapters.sql.dialect import Dialect
from interlock.adapters.sql.search_conditions import Conditions, OrderColumns, Sql, every, joined, lifecycle_condition
from interlock.adapters.sql.search_layout import Layout, Rows
from interlock.adapters.sql.searching import page
from interlock.ports.checks import check_limit
from interlock.ports.logged_model_rules import check_only_last
from interlock.ports.logged_model_store import DatasetMeant
from interlock.ports.search import Field, Filter, Lifecycle, OrderBy
from interlock.ports.search_checks import checked_filter, fields_of, full_order
from interlock.ports.search_fields import LOGGED_MODELS, MODELS, VERSIONS
from interlock.ports.search_order import read_token

MODEL_LAYOUT = Layout(
    MODELS,
    "registered_models",
    "seq",
    {"name": "r.name", "created_at": "r.created", "updated_at": "r.updated"},
    {"tag": Rows("registered_model_tags", "model", {"": "value"})},
)
VERSION_LAYOUT = Layout(
    VERSIONS,
    "version_notes",
    "seq",
    {
        "model": "r.model",
        "version": "r.version",
        "run": "r.run",
        "source": "r.source",
        "stage": "r.stage",
        "created_at": "r.created",
        "updated_at": "r.updated",
    },
    {"tag": Rows("version_tags", "note", {"": "value"})},
)
LOGGED_MODEL_LAYOUT = Layout(
    LOGGED_MODELS,
    "logged_models",
    "id",
    {
        "id": "r.id",
        "name": "r.name",
        "kind": "r.kind",
        "status": "r.status",
        "run": "r.run",
        "created_at": "r.created",
        "updated_at": "r.updated",
    },
    {
        "metric": Rows("logged_model_metrics", "model", {"last": "value"}, nan=True),
        "param": Rows("logged_model_params", "model", {"": "value"}),
        "tag": Rows("logged_model_tags", "model", {"": "value"}),
    },
    deleted="deleted",
)


def search_logged_models(
    database: Database,
    *,
    experiments: Sequence[str],
    where: Filter | None,
    datasets: Sequence[DatasetMeant],
    order: Sequence[OrderBy],
    lifecycle: Lifecycle,
    limit: int,
    after: str | None,
) -> tuple[list[str], str | None]:
    """Return the ids of one page of logged models in order, and what to pass as `after` for the next."""
    check_limit(limit)
    condition = checked_filter(where, LOGGED_MODELS)
    keys = full_order(order, LOGGED_MODELS)
    check_only_last(condition, keys)
    begin = read_token(after, keys, LOGGED_MODELS)
    columns = _Order(keys, datasets)
    among = [*lifecycle_condition(LOGGED_MODEL_LAYOUT, lifecycle), *columns.beyond(begin)]
    if experiments:
        marks = ", ".join("?" * len(experiments))
        among.append(Sql(f"r.experiment IN (SELECT id FROM experiments WHERE name IN ({marks}))", tuple(experiments)))
    conditions = _Conditions(database.dialect, datasets)
    if condition is not None:
        among.append(conditions.matches(condition))
    if datasets and not any(field.part == "metric" for field in fields_of(condition)):
        among.append(_on(datasets, "EXISTS (SELECT 1 FROM logged_model_metrics p WHERE p.model = r.id AND ", ")"))
    found = every(among)
    joins = " ".join(one.text for one in columns.joins)
    rows = database.query(
        f"""SELECT r.id, {columns.selected} FROM logged_models r {joins} WHERE {found.text}
            ORDER BY {columns.order_by} LIMIT ?""",
        [*(value for one in columns.joins for value in one.params), *found.params, limit + 1],
    )
    return page([(row[0], columns.position(row[1:])) for row in rows], keys, limit)


class _Conditions(Conditions):
    """Conditions in which metrics are those on some datasets."""

    def __init__(self, dialect: Dialect, datasets: Sequence[DatasetMeant]) -> None:
        super().__init__(LOGGED_MODEL_LAYOUT, dialect)
        self._datasets = datasets

    def belongs(self, field: Field, rows: Rows) -> Sql:
        """Return the condition that a row `p` is of a field, and of a metric, on a dataset that is meant."""
        found = super().belongs(field, rows)
        meant = _meant(field, self._datasets)
        return every([found, _on(meant)]) if field.part == "metric" and meant else found


class _Order(OrderColumns):
    """An order in which a metric is its newest value on some datasets."""

    def __init__(self, order: Sequence[OrderBy], datasets: Sequence[DatasetMeant]) -> None:
        self._datasets = datasets
        super().__init__(LOGGED_MODEL_LAYOUT, order)

    def _column(self, layout: Layout, field: Field, at: int) -> tuple[str, str]:
        rank, value = super()._column(layout, field, at)
        if field.part == "metric":
            meant = _meant(field, self._datasets)
            wanted = every([Sql("p.key = ?", (field.key,)), *([_on(meant)] if meant else [])])
            newest = "p.time DESC, p.step DESC, p.run DESC, p.dataset_name DESC, p.dataset_digest DESC"
            self.joins[-1] = Sql(
                f"""LEFT JOIN (
                        SELECT p.model, p.value, ROW_NUMBER() OVER (PARTITION BY p.model ORDER BY {newest}) AS place
                        FROM logged_model_metrics p WHERE {wanted.text}) k{at}
                    ON k{at}.model = r.id AND k{at}.place = 1""",
                wanted.params,
            )
        return rank, value


def _meant(field: Field, datasets: Sequence[DatasetMeant]) -> Sequence[DatasetMeant]:
    return (DatasetMeant(field.dataset, field.digest),) if field.dataset else datasets


def _on(datasets: Sequence[DatasetMeant], before: str = "", behind: str = "") -> Sql:
    """Return the condition that a metric `p` is on one of some datasets."""
    ways = [
        Sql("p.dataset_name = ? AND p.dataset_digest = ?", (one.name, one.digest))
        if one.digest
        else Sql("p.dataset_name = ?", (one.name,))
        for one in datasets
    ]
    found = joined(ways, "OR", empty="1 = 1")
    return Sql(f"{before}({found.text}){behind}", found.params)
