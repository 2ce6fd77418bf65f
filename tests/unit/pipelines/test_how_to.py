"""The code of the how-to page on writing pipelines runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from interlock.pipelines.runner import Pipelines
from tests.unit.pipelines.conftest import ModuleMaker

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "write-a-pipeline.md"


def test_the_page_is_true(pipelines: Pipelines, module: ModuleMaker) -> None:
    source = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
    page: Any = module("write_a_pipeline", source)
    run = pipelines.run(page.nightly, 10, [1.0, 2.0])
    assert (run.value, len(run.steps)) == (5.0, 6)
    assert pipelines.run(page.nightly, 10, [1.0, 2.0]).reused == 6
    assert pipelines.run(page.flow, rows=4).value == 6
