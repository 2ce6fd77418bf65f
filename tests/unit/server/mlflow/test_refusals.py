"""What is wrong with a request is named by its path, with what was given."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest

from interlock.server.mlflow.refusals import first_refusal, invalid_value
from interlock.server.mlflow.wire import Failure, convert

Small = Annotated[int, msgspec.Meta(ge=-8, le=7)]


class Inner(msgspec.Struct, kw_only=True):
    key: str
    value: float
    at: Small = 0


class Outer(msgspec.Struct, kw_only=True):
    run_id: str = ""
    inner: list[Inner] = []
    kind: str | int | None = None
    one: Inner | None = None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"run_id": 31}, "Invalid value 31 for parameter 'run_id' supplied"),
        ({"inner": "foo"}, "Invalid value \"foo\" for parameter 'inner' supplied"),
        ({"inner": [5]}, "Invalid value 5 for parameter 'inner[0]' supplied"),
        ({"inner": [{"key": "a", "value": 1}, {"value": 1}]}, "Missing value for required parameter 'inner[1].key'"),
        ({"inner": [{"key": "a", "value": "x"}]}, "Invalid value \"x\" for parameter 'inner[0].value' supplied"),
        ({"inner": [{"key": "a", "value": 1, "at": 1.5}]}, "Invalid value 1.5 for parameter 'inner[0].at' supplied"),
        ({"inner": [{"key": "a", "value": 1, "at": 8}]}, "Invalid value 8 for parameter 'inner[0].at' supplied"),
        ({"kind": [1]}, "Invalid value [1] for parameter 'kind' supplied"),
        ({"one": {"value": 2}}, "Missing value for required parameter 'one.key'"),
    ],
)
def test_the_first_wrong_field_is_named(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(Failure) as caught:
        convert(fields, Outer)
    assert (caught.value.code, caught.value.status) == ("INVALID_PARAMETER_VALUE", 400)
    assert caught.value.message.startswith(said)


@pytest.mark.parametrize(
    ("fields", "read"),
    [
        ({"run_id": None, "kind": None}, Outer()),
        ({"runId": "a"}, Outer(run_id="a")),
        ({"kind": 3}, Outer(kind=3)),
        ({"inner": [{"key": "a", "value": True, "at": "3"}]}, Outer(inner=[Inner(key="a", value=1.0, at=3)])),
        ({"inner": [{"key": "a", "value": "-Infinity", "at": 2.0}]}, Outer(inner=[Inner(key="a", value=-1e999, at=2)])),
        ({"unheard": 1}, Outer()),
    ],
)
def test_what_protobuf_takes_is_taken(fields: dict[str, Any], read: Outer) -> None:
    assert convert(fields, Outer) == read


def test_nothing_is_wrong_with_what_can_be_read() -> None:
    assert first_refusal({"run_id": "a", "inner": [{"key": "b", "value": "NaN"}]}, Outer) is None


def test_a_long_value_is_shown_by_its_beginning() -> None:
    said = invalid_value("key", "x" * 10_000)
    assert len(said) < 300 and "…" in said
