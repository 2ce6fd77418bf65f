"""Answer MLflow's endpoints for evaluation datasets: make, show, find, tag and delete them, and link experiments."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import msgspec

from interlock.core.clock import to_micros
from interlock.ports.checks import check_key, check_tags
from interlock.ports.record_store import Record
from interlock.ports.search import Field, OrderBy
from interlock.ports.search_fields import NUMBERS, Attribute, Searchable
from interlock.ports.search_grammar import parse_filter, parse_order
from interlock.server.http import Response
from interlock.server.mlflow.evaluation_rows import (
    ROWS,
    DeleteRows,
    ListRows,
    WriteRows,
    WrittenAnswer,
    delete_rows,
    list_rows,
    schema_with,
    write_rows,
)
from interlock.server.mlflow.kept_records import (
    Body,
    changed_record,
    every_record,
    known_record,
    page_of_records,
)
from interlock.server.mlflow.known_runs import experiment_number, known_experiment
from interlock.server.mlflow.model_search import checked_limit
from interlock.server.mlflow.wire import DONE, Endpoint, Failure, Ground, invalid, missing, required

DATASETS = "mlflow.evaluation_dataset"
USER_TAG = "mlflow.user"
MOST_FOUND = 50_000
_DEFAULT_FOUND = 1000

_SEARCHABLE = Searchable(
    "evaluation datasets",
    {
        "name": Attribute("name"),
        "created_time": Attribute("created_time", "time", NUMBERS, unit_us=1000),
        "last_update_time": Attribute("last_update_time", "time", NUMBERS, unit_us=1000),
        "created_by": Attribute("created_by", may_be_missing=True),
        "last_updated_by": Attribute("last_updated_by", may_be_missing=True),
        "dataset_id": Attribute("dataset_id"),
    },
    ("tag",),
    (
        OrderBy(Field("attribute", "created_time"), descending=True),
        OrderBy(Field("attribute", "dataset_id"), descending=True),
    ),
)


class _Create(msgspec.Struct):
    name: str = ""
    experiment_ids: list[str] = []
    tags: str = ""


class _One(msgspec.Struct):
    dataset_id: str = ""


class _Search(msgspec.Struct):
    experiment_ids: list[str] = []
    filter_string: str = ""
    max_results: int | None = None
    order_by: list[str] = []
    page_token: str = ""


class _SetTags(msgspec.Struct):
    dataset_id: str = ""
    tags: str = ""


class _DeleteTag(msgspec.Struct):
    dataset_id: str = ""
    key: str = ""


class _Experiments(msgspec.Struct):
    dataset_id: str = ""
    experiment_ids: list[str] = []


class DatasetRecord(msgspec.Struct, omit_defaults=True):
    """One evaluation dataset as MLflow writes it; tags, schema and profile are JSON in text."""

    dataset_id: str
    name: str
    tags: str
    digest: str
    created_time: int
    last_update_time: int
    schema: str | None = None
    profile: str | None = None
    created_by: str | None = None
    last_updated_by: str | None = None
    experiment_ids: list[str] = []


class DatasetAnswer(msgspec.Struct, frozen=True):
    """One evaluation dataset."""

    dataset: DatasetRecord


class DatasetsAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One page of evaluation datasets."""

    datasets: list[DatasetRecord] = []
    next_page_token: str = ""


class ExperimentsAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The experiments of an evaluation dataset."""

    experiment_ids: list[str] = []


def _create(ground: Ground, asked: _Create) -> DatasetAnswer:
    if not asked.name:
        raise required("name")
    check_key(asked.name, of="name of a dataset")
    tags = _tags(asked.tags) if asked.tags else {}
    user = tags.get(USER_TAG)
    body: Body = {
        "name": asked.name,
        "tags": tags,
        "experiment_ids": _experiment_ids(asked.experiment_ids),
        "schema": None,
        "created_by": user,
        "last_updated_by": user,
        "written_ms": to_micros(ground.clock.now()) // 1000,
    }
    (made,) = ground.stores.records.put([Record(DATASETS, f"d-{uuid4().hex}", body)])
    return DatasetAnswer(_shown(ground, made))


def _get(ground: Ground, asked: _One) -> DatasetAnswer:
    return DatasetAnswer(_shown(ground, _known(ground, asked.dataset_id)))


def _delete(ground: Ground, asked: _One) -> Response:
    ground.stores.records.delete(DATASETS, record_ids=[asked.dataset_id])
    ground.stores.records.delete(ROWS, parents=[asked.dataset_id])
    return DONE


def _search(ground: Ground, asked: _Search) -> DatasetsAnswer:
    wanted = set(_experiment_ids(asked.experiment_ids))
    found, following = page_of_records(
        (
            one
            for one in every_record(ground, DATASETS)
            if not wanted or not wanted.isdisjoint(one.body["experiment_ids"])
        ),
        _attributes,
        of=_SEARCHABLE,
        where=parse_filter(asked.filter_string, _SEARCHABLE),
        order=parse_order(asked.order_by, _SEARCHABLE),
        limit=checked_limit(asked.max_results or _DEFAULT_FOUND, most=MOST_FOUND),
        after=asked.page_token or None,
    )
    return DatasetsAnswer([_shown(ground, one) for one in found], following)


def _set_tags(ground: Ground, asked: _SetTags) -> DatasetAnswer:
    if not asked.tags:
        raise required("tags")
    new = _tags(asked.tags)
    return _changed(
        ground,
        asked.dataset_id,
        lambda body: {**body, "tags": {**body["tags"], **new}},
        failure=f"Could not find evaluation dataset with ID {asked.dataset_id[:120]}",
    )


def _delete_tag(ground: Ground, asked: _DeleteTag) -> Response:
    def without(body: Body) -> Body:
        return {**body, "tags": {key: value for key, value in body["tags"].items() if key != asked.key}}

    if ground.stores.records.find(DATASETS, [asked.dataset_id]):
        _changed(ground, asked.dataset_id, without)
    return DONE


def _experiments(ground: Ground, asked: _One) -> ExperimentsAnswer:
    found = ground.stores.records.find(DATASETS, [asked.dataset_id])
    return ExperimentsAnswer(found[0].body["experiment_ids"] if found else [])


def _add_experiments(ground: Ground, asked: _Experiments) -> DatasetAnswer:
    _known(ground, asked.dataset_id)
    new = _experiment_ids(asked.experiment_ids)
    for one in new:
        known_experiment(ground, one)
    return _changed(
        ground,
        asked.dataset_id,
        lambda body: _touched(ground, body, list(dict.fromkeys([*body["experiment_ids"], *new]))),
    )


def _remove_experiments(ground: Ground, asked: _Experiments) -> DatasetAnswer:
    gone = set(_experiment_ids(asked.experiment_ids))
    return _changed(
        ground,
        asked.dataset_id,
        lambda body: _touched(ground, body, [one for one in body["experiment_ids"] if one not in gone]),
    )


def _touched(ground: Ground, body: Body, experiment_ids: list[str]) -> Body:
    if experiment_ids == body["experiment_ids"]:
        return body
    return {**body, "experiment_ids": experiment_ids, "written_ms": to_micros(ground.clock.now()) // 1000}


def _write_rows(ground: Ground, asked: WriteRows) -> WrittenAnswer:
    _known(ground, asked.dataset_id)
    rows, answer = write_rows(ground, asked)
    user = next((one.tags[USER_TAG] for one in reversed(rows) if isinstance(one.tags.get(USER_TAG), str)), None)
    now_ms = to_micros(ground.clock.now()) // 1000

    def change(body: Body) -> Body:
        schema = schema_with(body["schema"], rows)
        return {**body, "schema": schema, "last_updated_by": user, "written_ms": now_ms}

    try:
        _changed(ground, asked.dataset_id, change)
    except Failure:
        # the dataset went meanwhile, and its rows go with it
        ground.stores.records.delete(ROWS, parents=[asked.dataset_id])
        raise
    return answer


def _list_rows(ground: Ground, asked: ListRows) -> dict[str, Any]:
    _known(ground, asked.dataset_id)
    return list_rows(ground, asked)


def _delete_rows(ground: Ground, asked: DeleteRows) -> dict[str, int]:
    _known(ground, asked.dataset_id)
    return delete_rows(ground, asked)


def _known(ground: Ground, dataset_id: str, *, failure: str = "") -> Record:
    return known_record(ground, DATASETS, dataset_id, lambda: _no_dataset(dataset_id, failure))


def _changed(ground: Ground, dataset_id: str, change: Any, *, failure: str = "") -> DatasetAnswer:
    found = changed_record(ground, DATASETS, dataset_id, lambda: _no_dataset(dataset_id, failure), change)
    return DatasetAnswer(_shown(ground, found))


def _no_dataset(dataset_id: str, said: str) -> Failure:
    return missing(said or f"Evaluation dataset with id '{dataset_id[:120]}' not found")


def _experiment_ids(ids: list[str]) -> list[str]:
    return list(dict.fromkeys(str(experiment_number(one)) for one in ids))


def _tags(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid(f"Invalid value for parameter 'tags': it is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise invalid("Invalid value for parameter 'tags': expected a JSON object.")
    tags = {key: str(value) for key, value in found.items() if value is not None}
    check_tags(tags)
    return tags


def _written_ms(record: Record) -> int:
    """Return when a dataset was last written: a new one when it was made, and not the moment before."""
    return max(int(record.body["written_ms"]), to_micros(record.created_at) // 1000)


def _attributes(record: Record) -> Mapping[str, Any]:
    return {
        **record.body,
        "dataset_id": record.id,
        "created_time": to_micros(record.created_at),
        "last_update_time": _written_ms(record) * 1000,
    }


def _shown(ground: Ground, record: Record) -> DatasetRecord:
    body = record.body
    rows = ground.stores.records.count(ROWS, parent=record.id) if body["schema"] is not None else 0
    return DatasetRecord(
        dataset_id=record.id,
        name=body["name"],
        tags=json.dumps(body["tags"]),
        digest=hashlib.sha256(f"{body['name']}:{record.id}:{body['written_ms']}".encode()).hexdigest()[:8],
        created_time=to_micros(record.created_at) // 1000,
        last_update_time=_written_ms(record),
        schema=body["schema"],
        profile=json.dumps({"num_records": rows}) if rows else None,
        created_by=body["created_by"],
        last_updated_by=body["last_updated_by"],
        experiment_ids=body["experiment_ids"],
    )


_ALL = "/3.0/mlflow/datasets"
_OF_ONE = f"{_ALL}/{{dataset_id}}"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(method="POST", path=f"{_ALL}/create", request=_Create, handle=_create),
    Endpoint(method="POST", path=f"{_ALL}/search", request=_Search, handle=_search),
    Endpoint(method="GET", path=f"{_ALL}/search", request=_Search, handle=_search),
    Endpoint(method="GET", path=_OF_ONE, request=_One, handle=_get),
    Endpoint(method="DELETE", path=_OF_ONE, request=_One, handle=_delete),
    Endpoint(method="PATCH", path=f"{_OF_ONE}/tags", request=_SetTags, handle=_set_tags),
    Endpoint(method="DELETE", path=f"{_OF_ONE}/tags/{{key}}", request=_DeleteTag, handle=_delete_tag),
    Endpoint(method="POST", path=f"{_OF_ONE}/records", request=WriteRows, handle=_write_rows),
    Endpoint(method="GET", path=f"{_OF_ONE}/records", request=ListRows, handle=_list_rows),
    Endpoint(method="DELETE", path=f"{_OF_ONE}/records", request=DeleteRows, handle=_delete_rows),
    Endpoint(method="GET", path=f"{_OF_ONE}/experiment-ids", request=_One, handle=_experiments),
    Endpoint(method="POST", path=f"{_OF_ONE}/add-experiments", request=_Experiments, handle=_add_experiments),
    Endpoint(method="POST", path=f"{_OF_ONE}/remove-experiments", request=_Experiments, handle=_remove_experiments),
)
