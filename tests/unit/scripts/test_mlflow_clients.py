"""The comparison of what clients see on Interlock and on MLflow's own store."""

from pathlib import Path

from scripts.mlflow_clients import report
from scripts.mlflow_clients.__main__ import GROUPS, NEWEST, TRAININGS, arguments, kept, wanted
from scripts.mlflow_clients.comparing import verdict
from scripts.mlflow_clients.environments import VERSIONS


def seen(seconds=1.0, **facts):
    return {"facts": facts, "seconds": seconds}


def judge(mlflow, interlock, step="runs", version=NEWEST):
    return verdict(version, step, mlflow, interlock)


def test_what_is_the_same_is_counted():
    found = judge(seen(a=1, b=[2]), seen(a=1, b=[2]))
    assert (found.is_good, found.same, report.cell(found)) == (True, 2, "2")


def test_what_is_missing_more_or_otherwise_is_lost():
    found = judge(seen(a=1, b=2, n=None), seen(a=1, b=3, c=4))
    assert not found.is_good
    assert [(one.fact, one.mlflow, one.interlock) for one in found.differences] == [
        ("b", 2, 3),
        ("c", None, 4),
        ("n", None, None),
    ]
    assert report.cell(found) == "3 differ"
    assert "interlock 3" in report.what_differs([found])


def test_a_step_that_fails_here_is_lost():
    found = judge(seen(a=1), seen(a=1, error="RestException: no"))
    assert (found.is_good, report.cell(found)) == (False, "fails")
    assert "fails: RestException: no" in report.what_differs([found])


def test_a_step_that_fails_on_both_is_told_and_not_lost():
    found = judge(seen(a=1, error="no such feature"), seen(a=1, error="another word"))
    assert (found.is_good, found.unavailable, report.cell(found)) == (True, "no such feature", "ends alike (1)")


def test_an_infinity_that_stays_one_is_better_and_anything_else_is_not():
    theirs = seen(**{"metric up": "1.79e+308"})
    assert judge(theirs, seen(**{"metric up": "inf"}), "unusual").better == 1
    assert not judge(theirs, seen(**{"metric up": "nan"}), "unusual").is_good
    assert not judge(theirs, seen(**{"metric up": "inf"}), "runs").is_good


def test_every_library_is_trained_by_the_newest_client_and_one_by_all():
    assert wanted(NEWEST, None) == [*GROUPS, *TRAININGS]
    assert wanted(VERSIONS[-1], None) == [*GROUPS, "sklearn"]
    assert wanted(VERSIONS[-1], ["sklearn", "keras"]) == ["sklearn"]
    assert arguments(["--only", "keras", "--client", "3.0.0"]).client == ["3.0.0"]


def test_later_verdicts_replace_earlier_ones_of_the_same_step(tmp_path: Path):
    old = [judge(seen(a=1), seen(a=2)), judge(seen(), seen(), "keras"), judge(seen(), seen(), version="3.9.1")]
    kept(tmp_path / "verdicts.json", old)
    found = kept(tmp_path / "verdicts.json", [judge(seen(a=1), seen(a=1))])
    assert [(one.version, one.step, one.is_good) for one in found] == [
        (NEWEST, "runs", True),
        (NEWEST, "keras", True),
        ("3.9.1", "runs", True),
    ]


def test_the_page_has_a_row_per_step_and_says_what_is_lost():
    facts = {"interlock": "1", "date": "2026-01-02", "libraries": {"catboost": "1.2"}}
    good, bad = judge(seen(a=1), seen(a=1)), judge(seen(a=1), seen(a=2), "search", "3.14.0")
    page = report.page([good, bad], facts)
    assert f"| step | {NEWEST} | 3.14.0 |" in page
    assert "| runs | 1 |  |" in page
    assert "| search |  | 1 differ |" in page
    assert "CatBoost 1.2" in page
    assert "**1 of 2 steps lose nothing**" in page
    assert "## What is lost" in page
    assert "## What is lost" not in report.page([good], facts)
