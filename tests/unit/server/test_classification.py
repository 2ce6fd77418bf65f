from __future__ import annotations

import numpy as np

from interlock.server.classification import top_classes


def test_the_best_come_first_and_equal_ones_in_their_order() -> None:
    scores = np.array([[1, 3, 3, 2], [0, 0, 0, 0]])
    assert top_classes(scores, 3, whole=False).tolist() == [["3:1", "3:2", "2:3"], ["0:0", "0:1", "0:2"]]


def test_no_more_than_there_are() -> None:
    assert top_classes(np.array([[0.5]]), 9, whole=False).tolist() == [["0.500000:0"]]
    assert top_classes([0.25, 0.75], 1, whole=False).tolist() == [["0.250000:0"], ["0.750000:0"]]


def test_one_row_has_no_dimension_for_rows() -> None:
    assert top_classes(np.array([[1, 2], [4, 3]]), 2, whole=True).tolist() == ["4:2", "3:3"]
