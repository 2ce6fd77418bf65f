"""Runs without a name get one."""

from __future__ import annotations

import re

from interlock.server.mlflow.run_names import run_name


def test_a_name_is_two_words_and_a_number() -> None:
    names = {run_name() for _ in range(200)}
    assert all(re.fullmatch(r"[a-z]+-[a-z]+-\d{1,3}", name) for name in names)
    assert len(names) > 190
