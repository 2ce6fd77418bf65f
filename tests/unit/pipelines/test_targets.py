"""Pipelines found by file, module and name, with words for every way to miss one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from interlock.core.errors import InvalidInput, NotFound
from interlock.pipelines.targets import load_pipeline

ONE = """
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.steps import step

@step
def double(x: int) -> int:
    "Twice."
    return 2 * x

def plain(x: int) -> int:
    return double(x)

@pipeline
def nightly(x: int = 3) -> int:
    return double(x)

number = 5
"""
TWO = ONE + "\n@pipeline\ndef weekly() -> int:\n    return double(1)\n"


@pytest.fixture
def write(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str, str], Path]]:
    before, path = set(sys.modules), list(sys.path)

    def writing(name: str, text: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    yield writing
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]
    sys.path[:] = path


def test_by_file_and_name(write: Callable[[str, str], Path], tmp_path: Path) -> None:
    write("made_a.py", TWO)
    assert load_pipeline("made_a.py:nightly", folder=tmp_path)() == 6
    assert load_pipeline(f"{tmp_path}/made_a.py:weekly")() == 2


def test_the_only_one_needs_no_name(write: Callable[[str, str], Path], tmp_path: Path) -> None:
    write("made_b.py", ONE)
    assert load_pipeline("made_b.py", folder=tmp_path).name == "nightly"
    assert load_pipeline("made_b:nightly", folder=tmp_path).name == "nightly"


def test_steps_and_functions_are_pipelines_of_their_own(write: Callable[[str, str], Path], tmp_path: Path) -> None:
    write("made_c.py", ONE)
    alone = load_pipeline("made_c.py:double", folder=tmp_path)
    assert (alone(4), alone.name, list(alone.signature.parameters)) == (8, "double", ["x"])
    assert load_pipeline("made_c.py:plain", folder=tmp_path)(5) == 10


def test_a_file_in_a_package_keeps_its_dotted_name(write: Callable[[str, str], Path], tmp_path: Path) -> None:
    write("made_pkg/__init__.py", "")
    write("made_pkg/inner/__init__.py", "")
    write("made_pkg/inner/jobs.py", "from ..shared import ADD\n" + ONE + "\nnumber = ADD\n")
    write("made_pkg/shared.py", "ADD = 1\n")
    found = load_pipeline("made_pkg/inner/jobs.py:nightly", folder=tmp_path)
    assert found.__wrapped__.__module__ == "made_pkg.inner.jobs"


@pytest.mark.parametrize(
    ("target", "error", "said"),
    [
        ("made_dd.py", NotFound, "made_d.py"),
        ("made_d.py:nigtly", NotFound, "nightly"),
        ("made_d.py:number", InvalidInput, "int"),
        ("made_d.py", InvalidInput, "nightly, weekly"),
        ("made_none", NotFound, "made_none"),
    ],
)
def test_what_is_not_there(
    write: Callable[[str, str], Path], tmp_path: Path, target: str, error: type[Exception], said: str
) -> None:
    write("made_d.py", TWO)
    with pytest.raises(error, match=said):
        load_pipeline(target, folder=tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1 / 0\n", "ZeroDivisionError.*made_e.py:1"),
        ("def (:\n", "SyntaxError.*made_e.py:1"),
        ("import nothing_of_that_name\n", "nothing_of_that_name"),
        ("value = 1\n", "it has none"),
    ],
)
def test_code_that_cannot_be_imported(write: Callable[[str, str], Path], tmp_path: Path, text: str, said: str) -> None:
    write("made_e.py", text)
    with pytest.raises(InvalidInput, match=said):
        load_pipeline("made_e.py", folder=tmp_path)


def test_two_files_of_one_name(write: Callable[[str, str], Path], tmp_path: Path) -> None:
    write("made_f.py", ONE)
    write("other/made_f.py", ONE)
    load_pipeline("made_f.py", folder=tmp_path)
    with pytest.raises(InvalidInput, match="a name of its own"):
        load_pipeline("other/made_f.py", folder=tmp_path)
