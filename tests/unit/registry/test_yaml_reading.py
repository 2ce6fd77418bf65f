from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import InvalidInput, LimitExceeded
from interlock.registry.yaml_reading import read_section
from interlock.registry.yaml_writing import yaml_text

MLMODEL = """\
artifact_path: models:/m-1f
flavors:
  python_function:
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
  sklearn:
    code: null
    pickled_model: model.skops
    skops_trusted_types:
    - numpy.dtype
    - sklearn.tree._tree.Tree
is_signature_from_type_hint: false
signature:
  inputs: '[{"type": "double", "name": "it''s wide", "required": true}, {"type": "double",
    "name": "b", "required": true}]'
  outputs: '[{"type": "long", "required": true}]'
  params: null
utc_time_created: '2026-11-20 12:00:00.000000'
"""

texts = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=300)
keys = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=20)
values = st.recursive(texts, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4))


def test_sections_of_an_mlmodel_file_are_read() -> None:
    assert read_section(MLMODEL, "flavors") == {
        "python_function": {
            "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
            "loader_module": "mlflow.sklearn",
        },
        "sklearn": {
            "code": None,
            "pickled_model": "model.skops",
            "skops_trusted_types": ["numpy.dtype", "sklearn.tree._tree.Tree"],
        },
    }
    signature = read_section(MLMODEL, "signature")
    assert json.loads(signature["inputs"])[0]["name"] == "it's wide"
    assert signature["params"] is None
    assert read_section(MLMODEL, "utc_time_created") == "2026-11-20 12:00:00.000000"
    assert read_section(MLMODEL, "metadata") is None


@given(values)
def test_what_pyyaml_writes_is_read(value: Any) -> None:
    text = yaml.safe_dump({"a": "b", "section": value, "z": ["x"]}, sort_keys=False)
    assert read_section(text, "section") == value


@given(values)
def test_what_we_write_is_read(value: Any) -> None:
    assert read_section(yaml_text({"section": value, "z": "x"}), "section") == value


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: plain text\n  over two lines # and a comment\n", "plain text over two lines"),
        ("a: 'one\n\n  two'\nb: x\n", "one\ntwo"),
        ('a: "one\\\n  \\ two \\u00e9\\x41\\t"\n', "one two éA\t"),
        ("a:\n- b: 1\n  c:\n  - d\n- - e\n  - f\n- g\n", [{"b": "1", "c": ["d"]}, ["e", "f"], "g"]),
        ("a:\n  # nothing\nb: 1\n", None),
        ("a: {}\n", {}),
        ("a: []\n", []),
        ('a:\n  "key: with colon": x\n  its: y\n', {"key: with colon": "x", "its": "y"}),
        ("", None),
    ],
)
def test_other_ways_to_write_it(text: str, found: Any) -> None:
    assert read_section(text, "a") == found


@pytest.mark.parametrize(
    "text",
    [
        "a: [1, 2]\n",
        "a: &x y\n",
        "a: *x\n",
        "a: !!python/object:os.system x\n",
        "a: |\n  x\n",
        "a: 'open\n",
        "a:\n  b\n",
        "a: 'x' y\n",
        "a:\n  b: 1\n   c: 2\n d: 3\n",
    ],
)
def test_what_is_beyond_it_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_section(text, "a")


def test_a_bottomless_document_is_refused() -> None:
    with pytest.raises(LimitExceeded):
        read_section("a:\n" + "".join("  " * depth + f"k{depth}:\n" for depth in range(1, 5000)), "a")


def test_a_long_scalar_costs_no_more_than_its_length() -> None:
    text = "a: '" + "\n  ".join(["word " * 20] * 20_000) + "'\n"
    assert len(read_section(text, "a")) > 1_900_000
