"""Count durations in fixed buckets, evenly spaced on a log scale, and read quantiles from the counts."""

from __future__ import annotations

from collections.abc import Sequence

UNIT_NS = 1_024
"""The width of the narrowest buckets."""
PER_OCTAVE = 8
BUCKETS = 192
"""They reach to 68 s; what takes longer counts in the last."""
QUANTILES = (0.5, 0.9, 0.99, 0.999)


def bucket_of(took_ns: int) -> int:
    """Return the bucket of a duration; each is at most an eighth wider than it is long.

    Example:
        >>> [bucket_of(ns) for ns in (0, 1_024, 8_192, 9_216, 16_384, 10**18)]
        [0, 1, 8, 9, 16, 191]
    """
    units = took_ns >> 10
    if units < 8:
        return units if units > 0 else 0
    octave = units.bit_length() - 4
    return (octave + 1) * 8 + ((units >> octave) & 7) if octave < 23 else 191


def upper_ns(bucket: int) -> int:
    """Return where a bucket ends. Unit: nanoseconds.

    Example:
        >>> upper_ns(0), upper_ns(8), upper_ns(16)
        (1024, 9216, 18432)
    """
    if bucket < PER_OCTAVE:
        return (bucket + 1) * UNIT_NS
    octave, place = divmod(bucket, PER_OCTAVE)
    return (PER_OCTAVE + place + 1) * UNIT_NS << (octave - 1)


def quantile_ns(counts: Sequence[int], share: float, *, octave: int = PER_OCTAVE) -> int | None:
    """Return the duration below which a share of all counted ones lies, or None where none is counted.

    The answer lies in the right bucket, so that it is off by an eighth at most (with `octave` 4, by a quarter).

    Args:
        counts: By bucket.
        share: 0 to 1.
        octave: How many buckets there are to an octave: 8, or 4 where pairs of buckets were counted as one.
    """
    total = sum(counts)
    if not total:
        return None
    wanted = share * total
    reached = 0
    width = PER_OCTAVE // octave
    for bucket, count in enumerate(counts):
        if count and reached + count >= wanted:
            first, last = bucket * width, bucket * width + width - 1
            low = upper_ns(first - 1) if first else 0
            # where in the bucket the wanted one lies is not known; evenly spread is the fairest guess
            return low + int((upper_ns(last) - low) * max(0.0, wanted - reached) / count)
        reached += count
    return upper_ns(len(counts) * width - 1)
