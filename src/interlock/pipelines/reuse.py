"""Judge whether a record found for a key may stand for a new execution, and where a new record goes.

A key covers code, inputs and libraries. What a step read besides is only known after it has run, so the first record
of a key names those things, and a look-up goes on from there: where they are as they were, the record stands; where
they are not, their present states and the key make the next key to look under. So every version is kept, and going
back to an earlier file finds the earlier output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from interlock.core.hashing import digest_of_value
from interlock.pipelines.touched import changed, look
from interlock.ports.step_cache import StepRecord

VERIFIED = "verify:"
"""How the doubt begins of a result that came out differently when it was made again."""


class Verdict(msgspec.Struct, frozen=True):
    """What came of looking for an output to reuse.

    Args:
        record: The record that stands, or None if the step has to run.
        key: The key that a new record goes under.
        reason: Why a record of the same code and inputs does not stand; empty if there is none.
        doubts: Why no execution may be reused, found by making one again.
    """

    record: StepRecord | None
    key: str
    reason: str = ""
    doubts: tuple[str, ...] = ()


def judge(
    key: str, record: StepRecord | None, find: Callable[[str], StepRecord | None], *, always: bool = False
) -> Verdict:
    """Return which record stands for a key.

    Args:
        key: The key of code, inputs and libraries.
        record: What was found under it.
        find: Looks up further keys.
        always: Whether results that depend on the clock, the network or chance are reused as well.

    Cost: nothing for a record of a step that touched nothing.
    """
    reason = ""
    while record is not None:
        if record.doubts and not always:
            reason = reason or f"re-ran: {doubtful(record.doubts)}"
            found = tuple(doubt for doubt in record.doubts if doubt.startswith(VERIFIED))
            if found:
                return Verdict(None, digest_of_value([key, "made again"]), reason, found)
            key = digest_of_value([key, "in doubt"])
        else:
            names = changed(record.touched)
            if not names:
                return Verdict(record, key)
            reason = reason or "re-ran: " + "; ".join(changed_in_words(name) for name in names)
            key = digest_of_value([key, [[one.name, look(one.name, last=one).state] for one in record.touched]])
        record = find(key)
    return Verdict(None, key, reason)


def placed(made: StepRecord, verdict: Verdict) -> StepRecord:
    """Return a new record with the key it goes under; one in doubt, after another in doubt, is only history."""
    if verdict.doubts or (made.doubts and verdict.key != made.key):
        key = digest_of_value([verdict.key, made.run])
        return msgspec.structs.replace(made, key=key, doubts=(*made.doubts, *verdict.doubts))
    return msgspec.structs.replace(made, key=verdict.key)


def agrees(standing: StepRecord, made: StepRecord) -> bool:
    """Say whether a record that another process put first may stand for the one made here."""
    read = [[(one.name, one.state) for one in record.touched] for record in (standing, made)]
    return read[0] == read[1]


def doubtful(doubts: Sequence[str]) -> str:
    """Say why a result is not reused."""
    return "its result may differ each time: " + "; ".join(doubts[:3]) + ' (cache="always" reuses it all the same)'


def changed_in_words(name: str) -> str:
    """Say that a thing a step read has changed."""
    kind, _, what = name.partition(":")
    return {
        "file": f"file {what} changed",
        "folder": f"the names in folder {what} changed",
        "tree": f"files in folder {what} changed",
        "env": f"environment variable {what} changed",
    }[kind]
