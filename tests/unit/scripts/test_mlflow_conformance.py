"""The comparison of MLflow's server and ours: what counts as lost, and what the page says of it."""

import sqlite3

import pytest

from scripts.mlflow_conformance import report
from scripts.mlflow_conformance.__main__ import arguments
from scripts.mlflow_conformance.targets import MLflowServer

FACTS = {"command": "it", "date": "2026-01-02", "tests": "3.0", "python": "3.11", "mlflow": "3.0", "interlock": "1"}


def record(outcome="passed", why="", calls=1):
    return {"outcome": outcome, "reason": why, "seconds": 0.1, "calls": calls}


def test_only_a_test_that_passes_on_mlflow_can_be_lost():
    mlflow = {"a": record(), "b": record("failed", "looks inside"), "c": record(), "d": record(), "e": record()}
    interlock = {"a": record(), "b": record("failed", "x"), "c": record("failed", "boom"), "d": record("skipped", "no")}
    assert report.missing(mlflow, interlock) == {"c": "boom", "d": "no", "e": "did not run"}


def test_the_page_counts_and_names_what_is_lost():
    mlflow = {
        "rest": {"a": record(), "b": record(calls=0), "c": record("failed", "looks | inside"), "d": record("skipped")}
    }
    page = report.page(mlflow, {"rest": {"a": record("failed", "404 `x`"), "b": record()}}, FACTS)
    assert "| The tracking API over REST | 4 | 1 | 1 | 2 | 1 | 1 | 1 |" in page
    assert "| **all** | **4** | **1** | **1** | **2** | **1** | **1** | **1** |" in page
    assert "- `a`: `404 'x'`" in page
    assert "- 1: `looks | inside`" in page


def test_the_page_names_no_folder_of_a_machine():
    why = "AttributeError: <module 'm' from '/home/ada/venv/lib/python3.11/site-packages/m.py'>"
    page = report.page({"rest": {"a": record("failed", why)}}, {}, FACTS)
    assert "- 1: `AttributeError: <module 'm' from 'site-packages/m.py'>`" in page


def test_an_area_that_did_not_run_here_is_neither_good_nor_lost():
    page = report.page({"rest": {"a": record()}}, {}, FACTS)
    assert "| The tracking API over REST | 1 | 0 | 0 | 1 | 1 | not run |  |" in page
    assert "## Passes on mlflow server, fails on Interlock\n\nNone.\n" in page


def test_an_unknown_area_is_refused(capsys):
    with pytest.raises(SystemExit):
        arguments(["--area", "nothing"])
    assert "invalid choice: 'nothing'" in capsys.readouterr().err


def test_the_database_is_put_back_to_what_it_was(tmp_path):
    (tmp_path / "shared" / "artifacts").mkdir(parents=True)
    path = tmp_path / "shared" / "mlflow.db"
    server = MLflowServer(tmp_path)
    with server.database() as database:
        database.execute("CREATE TABLE e (id INTEGER PRIMARY KEY, name TEXT, size AS (length(name)) STORED)")
        database.execute("CREATE TABLE r (e INTEGER REFERENCES e(id))")
        database.execute("INSERT INTO e (id, name) VALUES (0, 'Default')")
    server.remember()
    with server.database() as database:
        database.execute("UPDATE e SET name = 'other'")
        database.execute("INSERT INTO e (name) VALUES ('new')")
        database.execute("INSERT INTO r VALUES (1)")
    server.empty()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT * FROM e").fetchall() == [(0, "Default", 7)]
    assert connection.execute("SELECT * FROM r").fetchall() == []
    connection.close()
    assert not (tmp_path / "shared" / "artifacts").exists()
