"""The code of the how-to page on serving models runs as it stands."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PAGE = Path(__file__).parents[4] / "docs" / "how-to" / "serve-any-model.md"


@pytest.mark.filterwarnings("ignore")
def test_the_page_is_true() -> None:
    source = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
    page: Any = ModuleType("serve_any_model")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(source, "serve_any_model.py", "exec"), vars(page))
    with page.workspace as workspace:
        assert "".join(part["text_output"] for part in page.parts) == "The flight of carrier AA is late."

        def said(ref: str, *columns: Any) -> dict[str, Any]:
            predictor = workspace.load_model(ref).predictor
            return {name: values.tolist() for name, values in predictor.predict(columns, rows=1).items()}

        assert said("delay", [200.0], ["AA"]) == {"prediction": [14.0]}
        assert said("fare", [2000.0]) == {"fare": [220.0], "zone": ["far"]}
        assert said("tariff", [100.0], ["AA"]) == {"prediction": [11.0]}
        assert said("mean", [200.0], ["AA"]) == {"prediction": [14.0]}
        assert said("routed", [2000.0], ["DL"]) == {"prediction": [20.0]}
        assert workspace.registry.resolve("late").engine == "statsmodels"
