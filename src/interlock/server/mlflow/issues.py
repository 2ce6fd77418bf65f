"""Answer MLflow's endpoints for issues, the quality problems found in traces: make, show, change and find them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import msgspec

from interlock.core.clock import to_micros
from interlock.ports.checks import check_text
from interlock.ports.record_store import Record
from interlock.ports.search import Field, Operator, OrderBy
from interlock.ports.search_fields import Attribute, Searchable
from interlock.ports.search_grammar import parse_filter
from interlock.ports.trace_search import TraceCompare
from interlock.server.mlflow.kept_records import (
    Body,
    changed_record,
    every_record,
    known_record,
    millis,
    page_of_records,
)
from interlock.server.mlflow.known_runs import active_experiment, experiment_number
from interlock.server.mlflow.model_search import checked_limit
from interlock.server.mlflow.wire import Endpoint, Failure, Ground, invalid, missing, required

ISSUES = "mlflow.issue"
MOST_FOUND = 50_000
_DEFAULT_FOUND = 100
_STATUSES = ("pending", "rejected", "resolved")
_SEVERITIES = ("not_an_issue", "low", "medium", "high")
_LONGEST_LIST = 1000
_COMPARED: tuple[Operator, ...] = ("=", "!=")

_SEARCHABLE = Searchable(
    "issues",
    {
        "status": Attribute("status", operators=_COMPARED),
        "source_run_id": Attribute("source_run_id", operators=_COMPARED, may_be_missing=True),
        "severity_rank": Attribute("severity_rank", "number"),
        "trace_count": Attribute("trace_count", "number"),
        "created_timestamp": Attribute("created_timestamp", "number"),
        "issue_id": Attribute("issue_id", operators=_COMPARED),
    },
    (),
    tuple(
        OrderBy(Field("attribute", key), descending=True)
        for key in ("severity_rank", "trace_count", "created_timestamp", "issue_id")
    ),
)


class _Create(msgspec.Struct):
    experiment_id: str = ""
    name: str = ""
    description: str = ""
    status: str | None = None
    severity: str | None = None
    root_causes: list[str] = []
    source_run_id: str = ""
    created_by: str = ""
    categories: list[str] = []


class _One(msgspec.Struct):
    issue_id: str = ""


class _Update(msgspec.Struct):
    issue_id: str = ""
    name: str = ""
    description: str = ""
    status: str | None = None
    severity: str | None = None


class _Search(msgspec.Struct):
    experiment_id: str = ""
    filter_string: str = ""
    max_results: int | None = None
    page_token: str = ""
    include_trace_count: bool = False


class IssueRecord(msgspec.Struct, omit_defaults=True):
    """One issue as MLflow writes it."""

    issue_id: str
    experiment_id: str
    name: str
    description: str
    status: str
    created_timestamp: int
    last_updated_timestamp: int
    severity: str | None = None
    root_causes: list[str] = []
    source_run_id: str | None = None
    created_by: str | None = None
    categories: list[str] = []
    trace_count: int | None = None


class IssueAnswer(msgspec.Struct, frozen=True):
    """One issue."""

    issue: IssueRecord


class IssuesAnswer(msgspec.Struct, frozen=True):
    """One page of issues; the token is empty at the end."""

    issues: list[IssueRecord]
    next_page_token: str


def _create(ground: Ground, asked: _Create) -> IssueAnswer:
    for name in ("name", "description", "experiment_id"):
        if not getattr(asked, name):
            raise required(name)
    experiment = active_experiment(ground, asked.experiment_id)
    body: Body = {
        "name": asked.name,
        "description": asked.description,
        "status": _one_of(asked.status or "pending", _STATUSES, of="status"),
        "severity": None if asked.severity is None else _one_of(asked.severity, _SEVERITIES, of="severity"),
        "root_causes": asked.root_causes,
        "categories": asked.categories,
        "source_run_id": asked.source_run_id or None,
        "created_by": asked.created_by or None,
    }
    _check(body)
    (made,) = ground.stores.records.put([Record(ISSUES, f"iss-{uuid4().hex}", body, str(experiment.id))])
    return IssueAnswer(_shown(made))


def _get(ground: Ground, asked: _One) -> IssueAnswer:
    return IssueAnswer(_shown(known_record(ground, ISSUES, asked.issue_id, lambda: _no_issue(asked.issue_id))))


def _update(ground: Ground, asked: _Update) -> IssueAnswer:
    if not asked.issue_id:
        raise required("issue_id")
    new: Body = {name: getattr(asked, name) for name in ("name", "description") if getattr(asked, name)}
    if asked.status is not None:
        new["status"] = _one_of(asked.status, _STATUSES, of="status")
    if asked.severity is not None:
        new["severity"] = _one_of(asked.severity, _SEVERITIES, of="severity")
    _check(new)
    found = changed_record(
        ground, ISSUES, asked.issue_id, lambda: _no_issue(asked.issue_id), lambda body: {**body, **new}
    )
    return IssueAnswer(_shown(found))


def _search(ground: Ground, asked: _Search) -> IssuesAnswer:
    limit = checked_limit(_DEFAULT_FOUND if asked.max_results is None else asked.max_results, most=MOST_FOUND)
    parents = [str(experiment_number(asked.experiment_id))] if asked.experiment_id else None
    counts: dict[str, int] = {}

    def attributes(record: Record) -> Mapping[str, Any]:
        if asked.include_trace_count:
            counts[record.id] = _cases(ground, record)
        severity = record.body["severity"]
        return {
            "status": record.body["status"],
            "source_run_id": record.body["source_run_id"],
            "severity_rank": -1 if severity is None else _SEVERITIES.index(severity),
            "trace_count": counts.get(record.id, 0),
            "created_timestamp": to_micros(record.created_at),
            "issue_id": record.id,
        }

    page, following = page_of_records(
        every_record(ground, ISSUES, parents=parents),
        attributes,
        of=_SEARCHABLE,
        where=parse_filter(asked.filter_string, _SEARCHABLE),
        order=(),
        limit=limit,
        after=asked.page_token or None,
    )
    return IssuesAnswer([_shown(one, traces=counts.get(one.id)) for one in page], following)


def _cases(ground: Ground, issue: Record) -> int:
    """Count the traces that were said to be cases of an issue."""
    found, after = 0, None
    while True:
        page = ground.stores.traces.search(
            experiments=[int(issue.parent)],
            where=TraceCompare("issue", "", "=", issue.id),
            limit=_LONGEST_LIST,
            after=after,
        )
        found += len(page.traces)
        after = page.after
        if after is None:
            return found


def _check(body: Body) -> None:
    """Refuse texts that no database keeps, and endless ones."""
    for name, value in body.items():
        texts = value if isinstance(value, list) else [] if value is None else [value]
        if len(texts) > _LONGEST_LIST:
            raise invalid(f"Invalid value for parameter '{name}': at most {_LONGEST_LIST} entries are taken.")
        for text in texts:
            check_text(text, of=f"{name} of an issue")


def _one_of(word: str, words: tuple[str, ...], *, of: str) -> str:
    if word not in words:
        raise invalid(f"Invalid issue {of} '{word[:80]}'. Valid values are: {', '.join(words)}")
    return word


def _no_issue(issue_id: str) -> Failure:
    return missing(f"Issue with ID '{issue_id[:120]}' not found")


def _shown(record: Record, *, traces: int | None = None) -> IssueRecord:
    created_ms, updated_ms = millis(record)
    return IssueRecord(
        issue_id=record.id,
        experiment_id=record.parent,
        created_timestamp=created_ms,
        last_updated_timestamp=updated_ms,
        trace_count=traces,
        **record.body,
    )


_ALL = "/3.0/mlflow/issues"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(method="POST", path=_ALL, request=_Create, handle=_create),
    Endpoint(method="POST", path=f"{_ALL}/search", request=_Search, handle=_search),
    Endpoint(method="GET", path=f"{_ALL}/{{issue_id}}", request=_One, handle=_get),
    Endpoint(method="PATCH", path=f"{_ALL}/{{issue_id}}", request=_Update, handle=_update),
)
