from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import InvalidInput
from interlock.core.refs import KINDS, NAME_PATTERN, Ref, check_name

names = st.from_regex(NAME_PATTERN, fullmatch=True).filter(
    lambda name: ".." not in name and "//" not in name and not name.endswith("/")
)


@given(st.sampled_from(sorted(KINDS)), names, st.none() | st.sampled_from(["1", "champion", "12"]))
def test_a_ref_reads_back_what_it_writes(kind: str, name: str, version: str | None) -> None:
    ref = Ref(kind, name, version)
    assert Ref.parse(str(ref)) == ref


def test_a_bare_name_is_taken_where_the_kind_is_known() -> None:
    assert Ref.parse("delay@7", kind="model") == Ref("model", "delay", "7")


@pytest.mark.parametrize(("version", "number"), [("7", 7), ("champion", None), (None, None)])
def test_number_is_the_version_if_it_is_one(version: str | None, number: int | None) -> None:
    assert Ref("model", "delay", version).number == number


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("delay", None, "is not a Ref"),
        ("modle:delay", None, "did you mean 'model'?"),
        ("run:abc", "model", "a model is expected"),
        ("model:", None, "cannot name a model"),
        ("model:../etc", None, "cannot name a model"),
        ("model:a//b", None, "cannot name a model"),
        ("model:a/", None, "cannot name a model"),
        ("model:delay@", None, "is not a version"),
        ("model:delay@a b", None, "is not a version"),
        ("model:" + "x" * 501, None, "cannot name a model"),
    ],
)
def test_what_is_no_ref_is_refused_with_a_reason(text: str, kind: str | None, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Ref.parse(text, kind=kind)
    assert said in str(caught.value)


def test_check_name_returns_the_name() -> None:
    assert check_name("a.b-c_d/e", of="dataset") == "a.b-c_d/e"
