"""Graphs of models say what their members say, put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from interlock.core.errors import InvalidInput
from interlock.core.model_graphs import Branch, Combine, Node, Use, combined, conditions, evaluate, holds, members

A, B, C = Use("model:a@1"), Use("model:b@1"), Use("model:c@1")


def ask(ref: str, columns: Mapping[str, Any], rows: int) -> Mapping[str, Any]:
    """Answer x times 1, 2 or 3."""
    factor = {"model:a@1": 1, "model:b@1": 2, "model:c@1": 3}[ref]
    return {"prediction": np.array(columns["x"]) * factor}


def said(node: Node, **columns: list[Any]) -> list[Any]:
    answer = evaluate(node, columns, rows=len(next(iter(columns.values()))), ask=ask)["prediction"]
    return answer if isinstance(answer, list) else answer.tolist()


def test_members_and_conditions_are_found() -> None:
    graph = Combine((A, Branch("x", ">", 1, B, Combine((C, A)))))
    assert list(members(graph)) == ["model:a@1", "model:b@1", "model:c@1", "model:a@1"]
    assert [one.column for one in conditions(graph)] == ["x"]
    assert [one.column for one in conditions(Branch("y", ">", 1, graph, A))] == ["y", "x"]


def test_means_medians_and_weights() -> None:
    assert said(Combine((A, B, C)), x=[1.0, 2.0]) == [2.0, 4.0]
    assert said(Combine((A, B, C), "median"), x=[1.0, 2.0]) == [2.0, 4.0]
    assert said(Combine((A, C), "mean", (3.0, 1.0)), x=[1.0]) == [1.5]


def test_rows_go_where_their_value_says_and_come_back_in_order() -> None:
    graph = Branch("x", ">", 1, B, C)
    assert said(graph, x=[1.0, 2.0, 0.0, 3.0]) == [3.0, 4.0, 0.0, 6.0]
    assert said(graph, x=[2.0, 3.0]) == [4.0, 6.0]
    assert said(graph, x=[0.0, 1.0]) == [0.0, 3.0]


def test_a_row_without_a_value_goes_to_the_second() -> None:
    graph = Branch("c", "==", "a", B, C)
    assert said(graph, x=[1.0, 1.0, 1.0], c=["a", None, "b"]) == [2.0, 3.0, 3.0]
    assert not holds(Branch("x", "!=", 1, A, B), float("nan"))


@pytest.mark.parametrize(
    ("operator", "value", "true", "false"),
    [
        ("==", 1, 1, 2),
        ("!=", 1, 2, 1),
        ("<", 1, 0, 1),
        ("<=", 1, 1, 2),
        (">", 1, 2, 1),
        (">=", 1, 1, 0),
        ("in", ["a", "b"], "a", "c"),
        ("not in", ["a", "b"], "c", "a"),
    ],
)
def test_conditions(operator: Any, value: Any, true: Any, false: Any) -> None:
    branch = Branch("x", operator, value, A, B)
    assert holds(branch, true)
    assert not holds(branch, false)


def test_what_cannot_be_compared_is_told() -> None:
    with pytest.raises(InvalidInput, match="cannot be held against"):
        holds(Branch("x", ">", 1, A, B), "text")


def test_a_function_gets_every_answer() -> None:
    def biggest(answers: list[dict[str, list[float]]]) -> list[float]:
        return [max(values) for values in zip(*(answer["prediction"] for answer in answers), strict=True)]

    graph = Combine((A, C), "function", function=0)
    assert evaluate(graph, {"x": [1.0, -1.0]}, rows=2, ask=ask, functions=[biggest]) == {"prediction": [3.0, -1.0]}


def test_labels_follow_the_combined_probability() -> None:
    one = {"probability": [0.55, 0.1], "label": ["late", "on time"]}
    two = {"probability": [0.1, 0.2], "label": ["on time", "on time"]}
    three = {"probability": [0.6, 0.9], "label": ["late", "late"]}
    assert combined([one, two, three], "mean")["label"] == ["on time", "on time"]
    assert combined([one, two, three], "vote") == {"label": ["late", "on time"]}
    assert combined([one, two, three], "mean", [1, 0, 1])["label"] == ["late", "on time"]


def test_labels_of_many_classes_follow_the_likeliest() -> None:
    one = {"probability_1": [0.6], "probability_2": [0.0], "probability_3": [0.4], "label": [1]}
    two = {"probability_1": [0.0], "probability_2": [0.6], "probability_3": [0.4], "label": [2]}
    assert combined([one, two], "mean")["label"] == [3]
    true = {"probability_False": [0.4], "probability_True": [0.6], "label": [True]}
    assert combined([true, true], "mean")["label"] == [True]


def test_a_label_without_probabilities_is_voted_on() -> None:
    answers = [{"label": ["a"]}, {"label": ["b"]}, {"label": ["b"]}]
    assert combined(answers, "mean") == {"label": ["b"]}
    assert combined(answers, "vote", [5, 1, 1]) == {"label": ["a"]}
    assert combined(answers[:2], "vote") == {"label": ["a"]}
