"""Measure how far annotators agree, beyond what chance alone would give.

All figures are for nominal values: two judgements are the same or they are not. None means that the figure
is not defined on the data (nobody judged the same item twice, or there is nothing to disagree about).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

from interlock.core.errors import InvalidInput
from interlock.ports.label_store import Annotation


def judgements(annotations: Iterable[Annotation]) -> list[list[Hashable]]:
    """Return for each item the last value of each annotator, the form that the figures take."""
    items: dict[str, dict[str, Hashable]] = {}
    for annotation in sorted(annotations, key=lambda one: (one.time, one.id)):
        if not isinstance(annotation.value, Hashable):
            raise InvalidInput(
                f"annotation '{annotation.id}' has a value that cannot be compared as a whole",
                why=f"expected a string, a number or a boolean, got a {type(annotation.value).__name__}",
            )
        items.setdefault(annotation.item, {})[annotation.annotator] = annotation.value
    return [list(values.values()) for values in items.values()]


def percent_agreement(items: Iterable[Sequence[Hashable]]) -> float | None:
    """Return the share of pairs of judgements of one item that agree, each item with two or more counting once."""
    shares = [_agreeing_pairs(values) / _pairs(len(values)) for values in items if len(values) > 1]
    return sum(shares) / len(shares) if shares else None


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Return Cohen's kappa of two annotators who judged the same items in the same order.

    Source: Cohen (1960), A coefficient of agreement for nominal scales, eq. 1: (p_o - p_e) / (1 - p_e).

    Raises:
        InvalidInput: The two are of different length.
    """
    if len(first) != len(second):
        raise InvalidInput(
            "the two annotators judged different numbers of items", why=f"got {len(first)} and {len(second)}"
        )
    count = len(first)
    if count == 0:
        return None
    agreed = sum(a == b for a, b in zip(first, second, strict=True))
    by_first, by_second = Counter(first), Counter(second)
    chance = sum(by_first[value] * by_second[value] for value in by_first)
    # in whole numbers, so that perfect chance agreement is exactly zero below
    below = count * count - chance
    return (agreed * count - chance) / below if below else None


def krippendorff_alpha(items: Iterable[Sequence[Hashable]]) -> float | None:
    """Return Krippendorff's alpha for any number of annotators, with judgements missing.

    Source: Krippendorff (2011), Computing Krippendorff's alpha-reliability, section C (nominal data).
    """
    total: Counter[Hashable] = Counter()
    agreed = 0.0
    for values in items:
        if len(values) > 1:
            total.update(values)
            agreed += 2 * _agreeing_pairs(values) / (len(values) - 1)
    count = sum(total.values())
    chance = sum(number * (number - 1) for number in total.values())
    below = count * (count - 1) - chance
    return ((count - 1) * agreed - chance) / below if below else None


def _agreeing_pairs(values: Sequence[Hashable]) -> int:
    return sum(_pairs(number) for number in Counter(values).values())


def _pairs(count: int) -> int:
    return count * (count - 1) // 2
