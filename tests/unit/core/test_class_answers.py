from __future__ import annotations

import numpy as np

from interlock.core.class_answers import class_answers


def test_of_two_classes_the_share_of_the_second_decides() -> None:
    answers = class_answers(np.array([0.2, 0.5, 0.7]), ["probability", "label"], np.array(["no", "yes"]))
    assert answers["probability"].tolist() == [0.2, 0.5, 0.7]
    assert answers["label"].tolist() == ["no", "no", "yes"]


def test_of_more_classes_the_likeliest_counts_and_of_equal_ones_the_first() -> None:
    shares = np.array([[0.2, 0.3, 0.5], [0.4, 0.4, 0.2]])
    answers = class_answers(shares, ["p_1", "p_2", "p_3", "label"], np.array([1, 2, 3]))
    assert {name: values.tolist() for name, values in answers.items()} == {
        "p_1": [0.2, 0.4],
        "p_2": [0.3, 0.4],
        "p_3": [0.5, 0.2],
        "label": [3, 1],
    }
