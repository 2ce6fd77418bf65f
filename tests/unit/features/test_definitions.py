from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from interlock.core.errors import InvalidInput, SchemaMismatch
from interlock.core.schema import Column
from interlock.features.definitions import check_names, check_source, check_view, logical_type
from interlock.ports.feature_store import FeatureView

TIME = pa.timestamp("us", "UTC")
SOURCE = pa.schema([("origin", pa.string()), ("observed", TIME), ("wind", pa.float64()), ("gusts", pa.int64())])


def view(**changes: Any) -> FeatureView:
    known: dict[str, Any] = {
        "name": "weather",
        "entity": ("origin",),
        "features": (Column("wind", "double"),),
        "known_at": "observed",
    }
    return FeatureView(**{**known, **changes})


def test_a_sound_definition() -> None:
    check_view(view(ttl_s=3600.0))
    check_source(view(features=(Column("wind", "double"), Column("gusts", "long"))), SOURCE)


def test_a_view_without_known_at_is_refused() -> None:
    with pytest.raises(InvalidInput, match="does not say when its rows became known") as caught:
        check_view(view(known_at=""))
    assert "the future leak" in caught.value.why
    assert "known_at=" in caught.value.fix


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"entity": ()}, "has no entity"),
        ({"features": ()}, "has no features"),
        ({"features": (Column("origin", "string"),)}, "uses the column 'origin' twice"),
        ({"features": (Column("observed", "datetime"),)}, "uses the column 'observed' twice"),
        ({"entity": ("origin", "origin")}, "uses the column 'origin' twice"),
        ({"ttl_s": 0}, "has a ttl of 0 s"),
        ({"ttl_s": float("nan")}, "has a ttl of nan s"),
        ({"name": "no spaces"}, "cannot name a feature"),
    ],
)
def test_definitions_that_make_no_sense(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        check_view(view(**changes))


@pytest.mark.parametrize(
    ("changes", "what", "why"),
    [
        ({"entity": ("orign",)}, "has no column 'orign'", "did you mean 'origin'?"),
        ({"known_at": "observd"}, "has no column 'observd'", "did you mean 'observed'?"),
        ({"features": (Column("wnd", "double"),)}, "has no column 'wnd'", "did you mean 'wind'?"),
        ({"features": (Column("wind", "string"),)}, "another type", "expected string, got double"),
        ({"known_at": "gusts"}, "holds no times", "expected times in UTC, got int64"),
    ],
)
def test_sources_that_do_not_fit(changes: dict[str, Any], what: str, why: str) -> None:
    with pytest.raises(SchemaMismatch, match=what) as caught:
        check_source(view(**changes), SOURCE)
    assert caught.value.why == why
    assert "'weather'" in caught.value.what


def test_times_without_a_zone_are_refused_with_the_way_to_give_one() -> None:
    naive = pa.schema([("origin", pa.string()), ("observed", pa.timestamp("us")), ("wind", pa.float64())])
    with pytest.raises(SchemaMismatch, match="'observed' in the source of feature view 'weather'") as caught:
        check_source(view(), naive)
    assert "assume_timezone" in caught.value.fix


def test_names_that_clash() -> None:
    check_names([view(), view(name="gale", features=(Column("gusts", "long"),))])
    with pytest.raises(InvalidInput, match="'wind' is in view 'weather' and in view 'gale'") as caught:
        check_names([view(), view(name="gale")])
    assert "gale_wind" in caught.value.fix


@pytest.mark.parametrize(
    ("kind", "logical"),
    [
        (pa.bool_(), "boolean"),
        (pa.int8(), "long"),
        (pa.float32(), "double"),
        (pa.large_string(), "string"),
        (TIME, "datetime"),
        (pa.binary(), "binary"),
        (pa.list_(pa.int64()), None),
    ],
)
def test_logical_types(kind: pa.DataType, logical: str | None) -> None:
    assert logical_type(kind) == logical
