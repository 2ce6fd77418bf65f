"""What every prediction log must do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from interlock.core.clock import to_micros
from interlock.core.errors import InvalidInput
from interlock.core.ids import decode_id, run_of_ids
from interlock.core.plain import pack
from interlock.ports.prediction_log import Feedback, FeedbackReceipt, JudgedPrediction, Prediction
from interlock.ports.stores import Stores
from interlock.testing.contract import Contract
from interlock.testing.machine import Plays

START = datetime(2013, 7, 1, tzinfo=UTC)
END = START + timedelta(days=1)
LIVE, SHADOW = "model:delay@1", "model:delay@2"
_FIRST = decode_id("01M7Z217XA90EV8QQZP7BEX4F9")
BAD_IDS = ("", "x" * 201, "a\0b", "a\nb", "\ud800")


def prediction(id: str, *, minute: int = 0, **changes: object) -> Prediction:
    """Return an answer to a question about a minute of the day, served an hour before."""
    at = to_micros(START + timedelta(minutes=minute))
    made = Prediction(
        id=id,
        endpoint="delay",
        model=LIVE,
        role="live",
        event_time=at,
        served_at=at - 3_600_000_000,
        inputs=("JFK", 3, None, 1.5, True),
        outputs={"p": 0.25, "late": False},
        revision=2,
        context={"tail": "N14228"},
    )
    return msgspec.structs.replace(made, **changes)


def request(start: int, count: int, **changes: object) -> list[Prediction]:
    """Return the answers to one request of many rows: their ids follow each other, from a number on."""
    alike = msgspec.structs.replace(prediction(""), **{"context": {}, **changes})
    return [
        msgspec.structs.replace(alike, id=one, inputs=("JFK", row, [0.5, None]), outputs={"p": row / 7})
        for row, one in enumerate(run_of_ids(_FIRST + start, count))
    ]


def truth(id: str, value: object = 1, *, minute: int = 60) -> Feedback:
    """Return what proved true, known at a minute of the day."""
    return Feedback(id, value, to_micros(START + timedelta(minutes=minute)), "carrier")


def ids(found: list[JudgedPrediction]) -> list[str]:
    """Return the ids of some answers."""
    return [one.prediction.id for one in found]


class PredictionReadsContract(Contract):
    """Windows, pages, the newest, and counts."""

    def test_a_window_goes_by_event_time(self, stores: Stores) -> None:
        rows = [prediction(f"p{minute}", minute=minute) for minute in (30, 10, 0, 20)]
        stores.predictions.append([*rows, prediction("f1", minute=10, endpoint="fare")])
        stores.predictions.feedback([truth("p20")])
        found = stores.predictions.window("delay", start=START, end=START + timedelta(minutes=30))
        assert ids(found) == ["p0", "p10", "p20"]
        assert [one.feedback for one in found] == [None, None, truth("p20")]
        later = stores.predictions.window("delay", start=START + timedelta(microseconds=1), end=END)
        assert ids(later) == ["p10", "p20", "p30"]

    def test_a_window_shows_what_callers_saw_or_one_model(self, stores: Stores) -> None:
        stores.predictions.append(
            [
                prediction("p1"),
                prediction("p1", model=SHADOW, role="shadow"),
                prediction("p2", model=SHADOW, role="canary", minute=1),
            ]
        )
        assert ids(stores.predictions.window("delay", start=START, end=END)) == ["p1", "p2"]
        assert ids(stores.predictions.window("delay", start=START, end=END, model=LIVE)) == ["p1"]
        assert ids(stores.predictions.window("delay", start=START, end=END, model=SHADOW)) == ["p1", "p2"]

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
    def test_pages_join_up(self, stores: Stores, limit: int) -> None:
        rows = [prediction(f"p{n}", minute=n // 3) for n in range(20)]
        rows.append(prediction("p4", minute=1, model=SHADOW, role="canary"))
        stores.predictions.append(rows)
        seen: list[JudgedPrediction] = []
        after = None
        while page := stores.predictions.window("delay", start=START, end=END, after=after, limit=limit):
            assert limit <= len(page) <= limit + 1 or len(seen) + len(page) == 21
            seen += page
            after = (page[-1].prediction.event_time, page[-1].prediction.id)
        assert seen == stores.predictions.window("delay", start=START, end=END)
        assert len(seen) == 21

    def test_after_a_moment_before_the_window(self, stores: Stores) -> None:
        stores.predictions.append([prediction("p1", minute=5)])
        start = START + timedelta(minutes=5)
        assert ids(stores.predictions.window("delay", start=start, end=END, after=(to_micros(START), "z"))) == ["p1"]

    def test_recent_is_by_time_served(self, stores: Stores) -> None:
        stores.predictions.append(
            [prediction("a", served_at=2), prediction("b", served_at=3), prediction("c", served_at=1)]
            + [prediction("d", served_at=9, role="shadow"), prediction("e", served_at=9, endpoint="fare")]
        )
        assert ids(stores.predictions.recent("delay")) == ["b", "a", "c"]
        assert ids(stores.predictions.recent("delay", limit=2)) == ["b", "a"]

    def test_counts_are_per_model_and_role(self, stores: Stores) -> None:
        stores.predictions.append([prediction(f"p{n}") for n in range(5)])
        stores.predictions.append([prediction(f"p{n}", model=SHADOW, role="shadow") for n in range(3)])
        stores.predictions.append([prediction(f"q{n}", model=SHADOW, role="canary") for n in range(2)])
        assert stores.predictions.counts("delay") == {
            f"{LIVE} live": 5,
            f"{SHADOW} shadow": 3,
            f"{SHADOW} canary": 2,
            "feedback": 0,
        }
        assert stores.predictions.counts("unknown") == {"feedback": 0}

    def test_threads_append_the_same_and_different_rows(self, stores: Stores) -> None:
        batches = [[prediction(f"p{n % 100}", minute=n % 100) for n in range(s, s + 20)] for s in range(0, 400, 10)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(stores.predictions.append, batches))
        stores.predictions.flush()
        assert len(stores.predictions.window("delay", start=START, end=END)) == 100
        assert stores.predictions.counts("delay")[f"{LIVE} live"] == 100

    def test_appending_writes_no_events(self, stores: Stores) -> None:
        stores.predictions.append([prediction("p1")])
        assert stores.journal.events() == []


class ManyRowsContract(Contract):
    """Requests of many rows, whose ids follow each other: a log may keep them in another way than single rows."""

    def test_each_row_is_as_it_was(self, stores: Stores) -> None:
        rows = request(0, 2500)
        rows[70] = msgspec.structs.replace(rows[70], context={"tail": "N14228"})
        stores.predictions.append(rows)
        found = stores.predictions.window("delay", start=START, end=END)
        assert pack([one.prediction for one in found]) == pack(rows)
        for row in (rows[0], rows[70], rows[1023], rows[1024], rows[-1]):
            assert pack([one.prediction for one in stores.predictions.find(row.id)]) == pack([row])
        assert stores.predictions.find(f"{rows[3].id[:-1]}") == []
        assert stores.predictions.find(f"{rows[3].id}x") == []
        assert stores.predictions.counts("delay") == {f"{LIVE} live": 2500, "feedback": 0}

    def test_a_page_of_nothing_is_empty(self, stores: Stores) -> None:
        stores.predictions.append([*request(0, 40), prediction("p1")])
        assert stores.predictions.window("delay", start=START, end=END, limit=0) == []
        assert stores.predictions.recent("delay", limit=0) == []

    @pytest.mark.parametrize("limit", [1, 39, 40, 41, 100, 1000])
    def test_pages_join_up_over_requests_and_single_rows(self, stores: Stores, limit: int) -> None:
        stores.predictions.append(
            request(0, 100) + [prediction("p1"), prediction("0")] + request(200, 80, model=SHADOW)
        )
        stores.predictions.append(request(0, 100, model=SHADOW) + request(1000, 50, event_time=to_micros(START) + 1))
        seen: list[JudgedPrediction] = []
        after = None
        while page := stores.predictions.window("delay", start=START, end=END, after=after, limit=limit):
            assert len(page) in (limit, limit + 1) or len(seen) + len(page) == 332
            seen += page
            after = (page[-1].prediction.event_time, page[-1].prediction.id)
        keys = [(one.prediction.event_time, one.prediction.id, one.prediction.model) for one in seen]
        assert keys == sorted(set(keys))
        assert len(keys) == 332
        assert seen == stores.predictions.window("delay", start=START, end=END)

    def test_the_newest_come_first(self, stores: Stores) -> None:
        old, new = request(0, 60, served_at=5), request(100, 60, served_at=7)
        stores.predictions.append([*new, prediction("p1", served_at=6), prediction("p2", served_at=8), *old])
        newest = ["p2", *(row.id for row in reversed(new)), "p1", *(row.id for row in reversed(old))]
        for limit in (1, 2, 61, 62, 63, 200):
            assert ids(stores.predictions.recent("delay", limit=limit)) == newest[:limit]

    def test_the_first_answer_stands_however_it_came(self, stores: Stores) -> None:
        stores.predictions.append([request(0, 50, revision=1)[20]])
        stores.predictions.append(request(0, 50, revision=2))
        stores.predictions.append(request(100, 50, revision=1) + request(100, 50, revision=2))
        stores.predictions.append(request(90, 50, revision=3) + request(140, 40, revision=3))
        stores.predictions.append([request(100, 50, revision=4)[7], *request(300, 50), request(300, 50, revision=4)[3]])
        found = stores.predictions.window("delay", start=START, end=END)
        revisions = [one.prediction.revision for one in found]
        assert revisions == [2] * 20 + [1] + [2] * 29 + [3] * 10 + [1] * 50 + [3] * 30 + [2] * 50
        assert stores.predictions.counts("delay")[f"{LIVE} live"] == 190

    def test_shadows_listen_to_the_whole_request(self, stores: Stores) -> None:
        rows = request(0, 50)
        stores.predictions.append(request(0, 50, model=SHADOW, role="shadow", served_at=0) + rows)
        assert [one.prediction.model for one in stores.predictions.find(rows[9].id)] == [LIVE, SHADOW]
        assert len(stores.predictions.window("delay", start=START, end=END)) == 50
        assert len(stores.predictions.window("delay", start=START, end=END, model=SHADOW)) == 50

    def test_feedback_finds_its_row(self, stores: Stores) -> None:
        rows, unlike = request(0, 1200), request(2000, 40, endpoint="fare")
        stores.predictions.append([*rows, *unlike])
        unknown = run_of_ids(_FIRST + 5000, 3)
        told = [truth(row.id, place) for place, row in enumerate(rows)] + [truth(one) for one in unknown]
        assert stores.predictions.feedback([*told, truth(unlike[4].id)]) == FeedbackReceipt(1201, 0, tuple(unknown))
        found = stores.predictions.window("delay", start=START, end=END)
        assert [one.feedback and one.feedback.truth for one in found] == list(range(1200))
        assert stores.predictions.counts("fare")["feedback"] == 1


class PredictionLogContract(PredictionReadsContract, ManyRowsContract):
    """Answers, and what proved true."""

    def test_an_answer_is_found_by_its_id(self, stores: Stores) -> None:
        row = prediction("p1")
        stores.predictions.append([row])
        (found,) = stores.predictions.find("p1")
        assert found.feedback is None
        assert pack(found.prediction) == pack(row)
        assert stores.predictions.find("p2") == []

    def test_nothing_is_appended_from_nothing(self, stores: Stores) -> None:
        stores.predictions.append([])
        assert stores.predictions.counts("delay") == {"feedback": 0}

    def test_the_first_answer_of_id_and_model_stands(self, stores: Stores) -> None:
        stores.predictions.append([prediction("p1", revision=1), prediction("p1", revision=2)])
        stores.predictions.append([prediction("p1", revision=3), prediction("p2", minute=1)])
        assert [one.prediction.revision for one in stores.predictions.find("p1")] == [1]
        assert stores.predictions.counts("delay") == {f"{LIVE} live": 2, "feedback": 0}

    def test_shadows_answer_under_the_same_id(self, stores: Stores) -> None:
        stores.predictions.append(
            [
                prediction("p1", model=SHADOW, role="shadow", served_at=0),
                prediction("p1"),
                prediction("p1", model="model:delay@3", role="shadow", served_at=1),
            ]
        )
        assert [one.prediction.model for one in stores.predictions.find("p1")] == [LIVE, SHADOW, "model:delay@3"]

    @pytest.mark.parametrize("bad", BAD_IDS)
    def test_an_id_that_not_all_can_keep_is_refused(self, stores: Stores, bad: str) -> None:
        with pytest.raises(InvalidInput):
            stores.predictions.append([prediction("good"), prediction(bad)])
        assert stores.predictions.find("good") == []

    def test_what_cannot_be_an_id_is_not_found(self, stores: Stores) -> None:
        for text in ("", "a\0b", "x" * 5000):
            assert stores.predictions.find(text) == []

    @pytest.mark.parametrize("micros", [10**18, -(10**18), 2**63, 2**80])
    @pytest.mark.parametrize("field", ["event_time", "served_at"])
    def test_a_time_in_another_unit_is_refused(self, stores: Stores, field: str, micros: int) -> None:
        with pytest.raises(InvalidInput):
            stores.predictions.append([prediction("good"), prediction("p1", **{field: micros})])
        with pytest.raises(InvalidInput):
            stores.predictions.feedback([Feedback("p1", 1, micros)])
        assert stores.predictions.counts("delay") == {"feedback": 0}

    def test_what_cannot_be_stored_is_refused(self, stores: Stores) -> None:
        for bad in (prediction("p1", outputs={"p": object()}), prediction("p1", inputs=(2**70,))):
            with pytest.raises(InvalidInput):
                stores.predictions.append([prediction("good"), bad])
        assert stores.predictions.counts("delay") == {"feedback": 0}

    def test_feedback_joins_its_answer(self, stores: Stores) -> None:
        stores.predictions.append([prediction("p1"), prediction("p1", model=SHADOW, role="shadow")])
        assert stores.predictions.feedback([truth("p1")]) == FeedbackReceipt(1, 0, ())
        assert [one.feedback for one in stores.predictions.find("p1")] == [truth("p1")] * 2
        assert stores.predictions.counts("delay") == {f"{LIVE} live": 1, f"{SHADOW} shadow": 1, "feedback": 1}

    def test_feedback_for_unknown_ids_is_named_and_not_stored(self, stores: Stores) -> None:
        stores.predictions.append([prediction("p1")])
        receipt = stores.predictions.feedback([truth("p9"), truth("p1"), truth("p8"), truth("p9"), truth("a\0b")])
        assert receipt == FeedbackReceipt(1, 0, ("p9", "p8", "a\0b"))
        stores.predictions.append([prediction("p9")])
        assert [one.feedback for one in stores.predictions.find("p9")] == [None]

    @pytest.mark.parametrize(
        ("second", "stands", "receipt"),
        [
            (truth("p1", 1, minute=60), 1, FeedbackReceipt(0, 1, ())),
            (truth("p1", 1, minute=90), 1, FeedbackReceipt(0, 1, ())),
            (truth("p1", 0, minute=60), 1, FeedbackReceipt(0, 1, ())),
            (truth("p1", 0, minute=30), 1, FeedbackReceipt(0, 1, ())),
            (truth("p1", 0, minute=61), 0, FeedbackReceipt(1, 0, ())),
            (truth("p1", True, minute=61), True, FeedbackReceipt(1, 0, ())),
        ],
    )
    @pytest.mark.parametrize("together", [True, False])
    def test_only_another_truth_known_later_replaces_the_first(
        self, stores: Stores, second: Feedback, stands: object, receipt: FeedbackReceipt, together: bool
    ) -> None:
        stores.predictions.append([prediction("p1")])
        if together:
            both = stores.predictions.feedback([truth("p1"), second])
            assert both == msgspec.structs.replace(receipt, accepted=receipt.accepted + 1)
        else:
            stores.predictions.feedback([truth("p1")])
            assert stores.predictions.feedback([second]) == receipt
        (found,) = stores.predictions.find("p1")
        assert found.feedback is not None
        assert found.feedback.truth is stands
        assert stores.predictions.counts("delay")["feedback"] == 1

    def test_feedback_writes_one_event_per_batch_and_endpoint(self, stores: Stores) -> None:
        stores.predictions.append([prediction("p1"), prediction("p2"), prediction("f1", endpoint="fare")])
        stores.predictions.feedback([truth("p1"), truth("f1"), truth("p2"), truth("unknown")])
        stores.predictions.feedback([truth("p1"), truth("unknown")])
        assert [(event.kind, event.subject, event.payload) for event in stores.journal.events()] == [
            ("feedback.received", "endpoint:delay", {"accepted": 2, "endpoint": "delay"}),
            ("feedback.received", "endpoint:fare", {"accepted": 1, "endpoint": "fare"}),
        ]

    def test_many_truths_at_once(self, stores: Stores) -> None:
        stores.predictions.append([prediction(f"p{n}", minute=n) for n in range(1200)])
        receipt = stores.predictions.feedback([truth(f"p{n}", n) for n in range(1300)])
        assert (receipt.accepted, receipt.duplicates, len(receipt.unknown)) == (1200, 0, 100)
        found = stores.predictions.window("delay", start=START, end=END)
        assert all(one.feedback and one.prediction.id == f"p{one.feedback.truth}" for one in found)


_ids = st.sampled_from(["p1", "p2", "p3", *run_of_ids(_FIRST, 90)[::15]])
_endpoints = st.sampled_from(["delay", "fare"])
_models = st.sampled_from([LIVE, SHADOW])
_moments = st.integers(0, 4).map(lambda minute: START + timedelta(minutes=minute))
_changes: dict[str, st.SearchStrategy[Any]] = {
    "endpoint": _endpoints,
    "model": _models,
    "role": st.sampled_from(["live", "canary", "shadow"]),
    "revision": st.integers(0, 9),
    "served_at": st.integers(0, 3),
}
_predictions = st.builds(prediction, _ids, minute=st.integers(0, 3), **_changes)
_requests = st.builds(request, st.sampled_from([0, 1, 40, 50]), st.integers(30, 40), **_changes)
_appended = st.one_of(
    st.lists(_predictions, max_size=4),
    st.lists(_requests, max_size=2).map(lambda parts: [row for part in parts for row in part]),
    st.tuples(st.lists(_predictions, max_size=2), _requests).map(lambda parts: [*parts[0], *parts[1]]),
)
_truths = st.builds(truth, _ids, st.sampled_from([0, 1, True, None, "x"]), minute=st.integers(0, 3))

PREDICTION_LOG_PLAYS: Plays = {
    "append": st.fixed_dictionaries({"predictions": _appended}),
    "find": st.fixed_dictionaries({"prediction_id": _ids}),
    "feedback": st.fixed_dictionaries({"truths": st.lists(_truths, max_size=4)}),
    "window": st.fixed_dictionaries(
        {"endpoint": _endpoints, "start": _moments, "end": _moments},
        optional={
            "model": _models,
            "after": st.tuples(_moments.map(to_micros), _ids),
            "limit": st.sampled_from([1, 2, 3, 35, 70]),
        },
    ),
    "recent": st.fixed_dictionaries({"endpoint": _endpoints}, optional={"limit": st.sampled_from([1, 2, 3, 35, 70])}),
    "counts": st.fixed_dictionaries({"endpoint": _endpoints}),
    "flush": st.just({}),
}
