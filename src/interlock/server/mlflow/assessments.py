"""Answer MLflow's endpoints for the assessments of traces."""

from __future__ import annotations

import re
from functools import partial

import msgspec

from interlock.core.errors import Conflict, NotFound
from interlock.ports.trace_store import Assessment, AssessmentChange
from interlock.server.http import Response
from interlock.server.mlflow.trace_records import (
    AssessmentRecord,
    assessment_record,
    checked_strings,
    read_assessment,
    read_judgement,
)
from interlock.server.mlflow.traces import known_trace
from interlock.server.mlflow.wire import DONE, Endpoint, Failure, Ground, invalid, missing, required

LARGEST_REQUEST_BYTES = 4 * 1024 * 1024
"""How large a request about assessments may be; an expectation may hold a document."""
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class _Create(msgspec.Struct):
    trace_id: str = ""
    assessment: AssessmentRecord | None = None


class _OneAssessment(msgspec.Struct):
    trace_id: str = ""
    assessment_id: str = ""


class _Update(msgspec.Struct):
    trace_id: str = ""
    assessment_id: str = ""
    assessment: AssessmentRecord | None = None
    update_mask: str = ""


class AssessmentAnswer(msgspec.Struct, frozen=True):
    """One assessment."""

    assessment: AssessmentRecord


def _create(ground: Ground, asked: _Create) -> AssessmentAnswer:
    if asked.assessment is None:
        raise required("assessment")
    known_trace(ground, asked.trace_id)
    given = read_assessment(asked.assessment, trace_id=asked.trace_id, now=ground.clock.now())
    try:
        made = ground.stores.traces.assess(given)
    except NotFound:
        raise _no_assessment(asked.trace_id, given.overrides or "") from None
    except Conflict as conflict:
        raise Failure("RESOURCE_ALREADY_EXISTS", f"{conflict.what}.") from None
    return AssessmentAnswer(assessment_record(made))


def _get(ground: Ground, asked: _OneAssessment) -> AssessmentAnswer:
    return AssessmentAnswer(assessment_record(_known(ground, asked.trace_id, asked.assessment_id)))


def _update(ground: Ground, asked: _Update) -> AssessmentAnswer:
    if asked.assessment is None:
        raise required("assessment")
    if not asked.update_mask:
        raise required("update_mask")
    known = _known(ground, asked.trace_id, asked.assessment_id)
    change = _change(known, asked.assessment, [_snake(path.strip()) for path in asked.update_mask.split(",")])
    try:
        after = ground.stores.traces.reassess(known.trace, known.id, change, at=ground.clock.now())
    except NotFound:
        raise _no_assessment(asked.trace_id, asked.assessment_id) from None
    return AssessmentAnswer(assessment_record(after))


def _delete(ground: Ground, asked: _OneAssessment) -> Response:
    known_trace(ground, asked.trace_id)
    # taking back what is not there is done already
    ground.stores.traces.remove_assessment(asked.trace_id, asked.assessment_id)
    return DONE


def _change(known: Assessment, given: AssessmentRecord, paths: list[str]) -> AssessmentChange:
    if "expectation" in paths and "feedback" in paths:
        raise invalid("Cannot specify both `expectation` and `feedback` parameters.")
    change = AssessmentChange(
        name=given.assessment_name if "assessment_name" in paths else None,
        rationale=given.rationale if "rationale" in paths else None,
        metadata=checked_strings(given.metadata, of="metadata") if "metadata" in paths else {},
    )
    for path in ("expectation", "feedback"):
        if path in paths:
            kind, value, fault = read_judgement(given)
            if kind != path or known.kind != path:
                raise invalid(f"Cannot update {path} value on an assessment that is {known.kind}.")
            change = msgspec.structs.replace(change, value=(value,), fault=fault)
    return change


def _known(ground: Ground, trace_id: str, assessment_id: str) -> Assessment:
    for one in known_trace(ground, trace_id).assessments:
        if one.id == assessment_id:
            return one
    raise _no_assessment(trace_id, assessment_id)


def _no_assessment(trace_id: str, assessment_id: str) -> Failure:
    return missing(f"Assessment with ID '{assessment_id[:120]}' not found for trace '{trace_id[:120]}'")


def _snake(name: str) -> str:
    return _WORD.sub("_", name).lower()


_PATH = "/3.0/mlflow/traces/{trace_id}/assessments"

_writing = partial(Endpoint, in_turn=True, body_bytes=LARGEST_REQUEST_BYTES)

ENDPOINTS: tuple[Endpoint, ...] = (
    _writing(method="POST", path=_PATH, request=_Create, handle=_create),
    Endpoint(method="GET", path=f"{_PATH}/{{assessment_id}}", request=_OneAssessment, handle=_get),
    _writing(method="PATCH", path=f"{_PATH}/{{assessment_id}}", request=_Update, handle=_update),
    _writing(method="DELETE", path=f"{_PATH}/{{assessment_id}}", request=_OneAssessment, handle=_delete),
)
