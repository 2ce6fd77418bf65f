from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from interlock.core.errors import InvalidInput
from interlock.server.oip_settings import (
    TRACE_SETTINGS,
    change_log_settings,
    change_trace_settings,
    log_settings,
    read_settings,
)


@pytest.fixture(autouse=True)
def _same_level() -> Iterator[None]:
    logger = logging.getLogger("interlock")
    before = logger.level
    logger.setLevel(logging.WARNING)
    yield
    logger.setLevel(before)


def test_settings_are_read_from_an_object_or_nothing() -> None:
    assert read_settings(b" ") == {}
    assert read_settings(b'{"a": 1}') == {"a": 1}
    for body in (b"[]", b"{", b"\xff"):
        with pytest.raises(InvalidInput, match="cannot be read"):
            read_settings(body)


@pytest.mark.parametrize(
    ("wanted", "level"),
    [
        ({"log_info": True}, logging.INFO),
        ({"log_warning": False}, logging.ERROR),
        ({"log_warning": False, "log_error": False}, logging.CRITICAL + 10),
        ({"log_verbose_level": 2}, logging.DEBUG),
        ({"log_file": "", "log_format": "default"}, logging.WARNING),
        ({}, logging.WARNING),
    ],
)
def test_the_level_of_the_log_follows(wanted: dict[str, Any], level: int) -> None:
    found = change_log_settings(wanted)
    assert logging.getLogger("interlock").level == level
    assert found == log_settings()


@pytest.mark.parametrize(
    ("wanted", "what"),
    [
        ({"log_nothing": True}, "no log setting 'log_nothing'"),
        ({"log_file": "/etc/passwd"}, "cannot be changed by callers"),
        ({"log_format": "ISO8601"}, "cannot be changed by callers"),
        ({"log_info": "yes"}, "is true or false"),
        ({"log_verbose_level": True}, "is a number"),
        ({"log_verbose_level": -1}, "is a number"),
        ({"log_info": True, "log_file": "x"}, "cannot be changed"),
    ],
)
def test_what_a_caller_may_not_choose_changes_nothing(wanted: dict[str, Any], what: str) -> None:
    before = log_settings()
    with pytest.raises(InvalidInput, match=what):
        change_log_settings(wanted)
    assert log_settings() == before


def test_tracing_is_not_for_callers_to_change() -> None:
    assert (
        change_trace_settings({"trace_level": None, "trace_rate": 1000, "trace_mode": "opentelemetry"})
        == TRACE_SETTINGS
    )
    assert change_trace_settings({"trace_level": "OFF"}) == TRACE_SETTINGS
    with pytest.raises(InvalidInput, match="cannot be changed by callers"):
        change_trace_settings({"trace_file": "/tmp/x"})
    with pytest.raises(InvalidInput, match="no trace setting"):
        change_trace_settings({"trace_levels": ["OFF"]})
