from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from interlock.core.schema import Column, Signature
from interlock.ports.model_store import ModelVersion, PackageFile
from interlock.registry.cards import write_card

NATIVE = {
    "engine": "sklearn",
    "title": "scikit-learn",
    "one_row_us": 2000.0,
    "rows512_us": 900.0,
    "max_difference": 0.0,
}
GRAPH = {"engine": "onnx", "title": "ONNX (float64)", "one_row_us": 20.4, "rows512_us": 1000.0, "max_difference": 4e-16}
ONNX = {
    "one_row_us": 20.4,
    "rows512_us": 1000.0,
    "rows_compared": 477,
    "max_difference": 4e-16,
    "engines": [NATIVE, GRAPH],
}


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
    text = card(version())
    assert "ONNX (float64) answers, 20.4 µs a row and 1,000 µs for 512 rows. One row is 98.0 times as quick" in text
    assert "The largest difference on 477 rows, edge cases among them, is 4e-16." in text
    assert "| ONNX (float64) | 20.4 µs | 1,000 µs | 4e-16 |" in text.splitlines()


def test_it_says_who_answers_many_rows() -> None:
    many = {"engine": "sklearn", "from_rows": 128, "settings": {}}
    text = card(version(facts={**ONNX, "many": many}))
    assert (
        "ONNX (float64) answers fewer than 128 rows, 20.4 µs for one; scikit-learn answers more, 900 µs for 512" in text
    )


def test_it_says_why_a_model_was_not_compiled() -> None:
    facts = {"one_row_us": 300.0, "rows512_us": 900.0, "engines": [NATIVE], "not_compiled": "no converter"}
    text = card(version(engine="sklearn", facts=facts))
    assert "scikit-learn answers, 300 µs a row and 900 µs for 512 rows. Not compiled: no converter." in text


def test_it_shows_how_to_send_tensors() -> None:
    import numpy as np

    signature = Signature((Column("image", "double", False, shape=(-1, 40, 40), datatype="FP32"),), ())
    text = card(version(signature=signature), example={"image": np.zeros((2, 40, 40), np.float32)})
    assert '{"inputs": {"image": [[[0.0, 0.0,' in text
    assert "…" in text


def test_it_shows_a_call_with_a_real_row() -> None:
    assert '"wind|speed": null' in card(version())


def test_what_is_not_known_is_said() -> None:
    text = card(version(run=None, metrics={}), inputs=[], facts={})
    assert "- Run: none named" in text
    assert "- Trained on: nothing named" in text
    assert "None were given." in text
