from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from interlock.core.schema import Column, Signature
from interlock.ports.model_store import ModelVersion, PackageFile
from interlock.registry.cards import write_card

ONNX = {"precision": "float64", "onnx_us": 20.4, "sklearn_us": 2000.0, "rows_compared": 477, "max_difference": 4e-16}


def version(**changes: Any) -> ModelVersion:
    fields: dict[str, Any] = {
        "model": "delay",
        "version": 0,
        "created_at": datetime(2026, 1, 1, 9, 5, tzinfo=UTC),
        "files": (PackageFile("model.skops", "b3:" + "a" * 64, 2048),),
        "signature": Signature(
            (Column("wind|speed", "double", unit="mph"),), (Column("probability", "double", False),)
        ),
        "flavor": "sklearn",
        "engine": "onnx",
        "run": "01RUN",
        "metrics": {"auc": 0.71234567},
        "facts": ONNX,
    }
    return ModelVersion(**{**fields, **changes})


def card(of: ModelVersion, **changes: Any) -> str:
    options: dict[str, Any] = {
        "estimator": "LogisticRegression",
        "inputs": ["dataset:flights@3"],
        "example": {"wind|speed": [float("nan"), 1.0]},
        "facts": {"Owner": "ada"},
    }
    return write_card(of, **{**options, **changes})


def test_the_card_says_what_it_is_and_what_it_was_made_from() -> None:
    text = card(version())
    for line in (
        "# delay",
        "- Estimator: `LogisticRegression`",
        "- Registered: 2026-01-01 09:05 UTC",
        "- Owner: ada",
        "- Run: `run:01RUN`",
        "- Trained on: `dataset:flights@3`",
        "- auc: 0.712346",
        "| wind\\|speed | double | yes | mph |",
        "| probability | double | no |  |",
        "- `model.skops`: 2.0 KiB, `b3:aaaaaaaaaaaa…`",
    ):
        assert line in text.splitlines(), line


def test_it_says_how_the_engines_compare() -> None:
    assert "Compiled to ONNX (float64): 20 µs a row, 2000 µs by scikit-learn." in card(version())


def test_it_says_why_a_model_was_not_compiled() -> None:
    text = card(version(engine="sklearn", facts={"one_row_us": 300.0, "not_compiled": "no converter"}))
    assert "Served by sklearn, 300 µs a row. Not compiled: no converter." in text


def test_it_shows_a_call_with_a_real_row() -> None:
    assert '"wind|speed": null' in card(version())


def test_what_is_not_known_is_said() -> None:
    text = card(version(run=None, metrics={}), inputs=[], facts={})
    assert "- Run: none named" in text
    assert "- Trained on: nothing named" in text
    assert "None were given." in text
