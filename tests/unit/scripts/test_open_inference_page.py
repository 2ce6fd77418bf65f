from __future__ import annotations

from pathlib import Path

import pytest

from interlock.testing.open_inference.checks import Outcome
from interlock.testing.open_inference.report import Report, as_json
from interlock.testing.open_inference.suite import all_checks
from scripts import open_inference_page


def test_the_page_has_a_column_for_each_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    monkeypatch.setattr(open_inference_page, "PAGE", page)
    paths = []
    for name, verdict in (("ours", "pass"), ("theirs", "fail")):
        outcome = Outcome("Health", "the server is live", verdict, expected="200", got="500")  # type: ignore[arg-type]
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(as_json(Report(name, {"tritonclient": "2.73"}, (outcome,))))
    open_inference_page.main([str(path) for path in paths])
    text = page.read_text()
    assert "| **all** | **1** | **1** | **0** |" in text
    assert "## What theirs does instead" in text


def test_the_page_in_the_docs_names_every_check() -> None:
    text = open_inference_page.PAGE.read_text()
    missing = [check.name for check in all_checks() if f"| {check.title} |" not in text]
    assert missing == [], "run the checks again: python -m scripts.open_inference_page"
