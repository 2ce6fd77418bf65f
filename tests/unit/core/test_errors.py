from __future__ import annotations

import pickle

import pytest

from interlock.core import errors
from interlock.core.errors import InterlockError, NotFound, SchemaMismatch, did_you_mean, error_types, missing_extra


def test_an_error_says_what_why_and_what_to_try() -> None:
    error = NotFound(
        "model 'churn' has no alias 'champion'", why="aliases are: latest", fix="interlock model show churn"
    )
    assert str(error).splitlines() == [
        "error: model 'churn' has no alias 'champion' [IL404]",
        "because: aliases are: latest",
        "try: interlock model show churn",
    ]


def test_lines_without_content_are_left_out() -> None:
    assert str(NotFound("gone")) == "error: gone [IL404]"


@pytest.mark.parametrize("kind", error_types().values(), ids=lambda kind: kind.__name__)
def test_every_error_survives_pickling_and_can_be_rebuilt(kind: type[InterlockError]) -> None:
    error = kind("what", why="why", fix="fix")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.what, again.why, again.fix) == ("what", "why", "fix")


def test_codes_are_unique_and_every_class_of_the_module_is_in_the_tree() -> None:
    classes = {
        value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, InterlockError)
    }
    assert set(error_types().values()) == classes


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.InvalidInput, ValueError),
        (SchemaMismatch, ValueError),
        (NotFound, LookupError),
        (errors.MissingExtra, ImportError),
        (errors.Unavailable, ConnectionError),
        (errors.TimedOut, TimeoutError),
        (errors.StorageFull, OSError),
        (errors.PortTaken, OSError),
        (errors.StepFailed, RuntimeError),
        (errors.Unauthorised, PermissionError),
    ],
)
def test_leaves_inherit_the_nearest_builtin(kind: type[InterlockError], builtin: type[Exception]) -> None:
    with pytest.raises(builtin):
        raise kind("what")


def test_a_missing_extra_prints_its_install_line() -> None:
    assert missing_extra("optuna", extra="tuning", purpose="a study").fix == "pip install 'interlock[tuning]'"


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("delya", ["delay", "fare"], "did you mean 'delay'?"),
        ("zzz", ["delay", "fare"], "known: delay, fare"),
        ("zzz", [], "there are none yet"),
        (
            "zzz",
            [f"name{n:02}" for n in range(10)],
            "known: " + ", ".join(f"name{n:02}" for n in range(8)) + " and 2 more",
        ),
    ],
)
def test_near_names_are_offered(name: str, known: list[str], said: str) -> None:
    assert did_you_mean(name, known) == said
