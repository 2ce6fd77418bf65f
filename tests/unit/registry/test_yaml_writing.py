from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from interlock.registry.yaml_writing import yaml_text

_keys = st.text(max_size=40)
_scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, width=32) | st.text()
_finite = _scalars.filter(lambda value: not isinstance(value, float) or abs(value) < 1e300)
_values = st.recursive(
    _finite, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3), max_leaves=8
)


@given(st.dictionaries(_keys, _values, max_size=4))
def test_every_reader_gets_back_what_was_written(value: dict[str, Any]) -> None:
    text = yaml_text(value)
    read = yaml.safe_load(text) if value else {}
    assert _plain(read) == _plain(value)
    assert yaml_text(value) == text


def _plain(value: Any) -> Any:
    """Return floats as numbers that compare across 1 and 1.0; YAML 1.1 reads 1e+16 as text."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) or (isinstance(value, str) and _is_number(value)):
        return float(value)
    return value


def _is_number(text: str) -> bool:
    try:
        # NaN, which a text may spell, equals nothing
        return float(text) == float(text)
    except ValueError:
        return False


def test_words_that_yaml_would_misread_are_quoted() -> None:
    assert yaml_text({"a": "no", "b": "3.11", "c": "null", "d": "plain-word", "e": "- dash"}) == (
        'a: "no"\nb: "3.11"\nc: "null"\nd: plain-word\ne: "- dash"\n'
    )


def test_nesting_is_by_two_spaces() -> None:
    assert yaml_text({"a": {"b": ["x", {"c": 1}], "d": [], "e": {}}}) == (
        "a:\n  b:\n    - x\n    -\n      c: 1\n  d: []\n  e: {}\n"
    )
