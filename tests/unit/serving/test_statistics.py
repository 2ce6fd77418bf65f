from __future__ import annotations

import multiprocessing
import threading
from pathlib import Path

import pytest

from interlock.core.errors import InterlockError, InvalidInput, Overloaded, TimedOut, Unavailable
from interlock.serving.statistics import (
    BATCH_SIZES,
    ModelStatistics,
    StatisticsBook,
    failure_kind,
    read_statistics,
    together,
)

KEY = ("delay", "model:delay@1", "live")
MINUTE = 60_000_000


def test_answers_and_failures_are_counted_apart() -> None:
    done = ModelStatistics()
    done.answered(5, 100, 2_000_000)
    done.answered(1, 50, 3_000_000)
    done.failed(10, "refused", now_micros=3_000_000)
    done.shadow_failed("it was too slow")
    assert (done.requests, done.rows, done.busy_ns, done.last_ms) == (2, 6, 150, 3_000)
    assert (done.failures, done.failed_ns, done.shadow_failures) == (1, 10, 1)
    assert done.last_problem == "it was too slow"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidInput("no"), "input"),
        (TimedOut("no"), "timeout"),
        (Overloaded("no"), "overloaded"),
        (Unavailable("no"), "unavailable"),
        (InterlockError("no"), "model"),
    ],
)
def test_failures_are_counted_by_kind(error: InterlockError, kind: str) -> None:
    done = ModelStatistics()
    done.refused(error, 7)
    assert failure_kind(error) == kind
    assert done.read().failures[kind] == 1


def test_executions_are_counted_by_their_rows() -> None:
    done = ModelStatistics()
    done.answered(1, 1_000, MINUTE)
    done.answered(3, 1_000, MINUTE)
    for _ in range(4):
        done.answered(1, 1_000, MINUTE, batched=True)
    done.executed(4, queued_ns=60)
    done.executed(100_000)
    counted = done.read()
    assert counted.executions == 4
    assert counted.queue_ns == 60
    by_size = dict(zip([*BATCH_SIZES, None], counted.batches, strict=True))
    assert {size: count for size, count in by_size.items() if count} == {1: 1, 4: 2, None: 1}


def test_quantiles_come_from_buckets() -> None:
    done = ModelStatistics()
    for took_ms in range(1, 101):
        done.answered(1, took_ms * 1_000_000, MINUTE)
    counted = done.read()
    for share, expected in ((0.5, 50), (0.9, 90), (0.99, 99)):
        assert counted.quantile_ms(share) == pytest.approx(expected, rel=0.13)
    assert ModelStatistics().read().quantile_ms(0.5) is None


def test_the_last_hour_is_kept_by_minutes() -> None:
    done = ModelStatistics()
    for minute in range(70):
        done.answered(2, 1_000_000, (1_000 + minute) * MINUTE)
    done.failed(1, "no", now_micros=1_069 * MINUTE)
    done.failed(1, "no", now_micros=1_071 * MINUTE)
    hour = done.read().last_hour(1_071 * 60)
    assert len(hour) == 60
    assert [minute.at for minute in hour[:2]] == [1_012 * 60, 1_013 * 60]
    assert (hour[-3].requests, hour[-3].rows, hour[-3].failures) == (1, 2, 1)
    assert (hour[-2].requests, hour[-2].quantile_ms(0.5)) == (0, None)
    assert (hour[-1].requests, hour[-1].failures) == (0, 1)
    assert hour[0].quantile_ms(0.5) == pytest.approx(1.0, rel=0.26)


def test_threads_lose_no_count() -> None:
    done = ModelStatistics()

    def work() -> None:
        for _ in range(2_000):
            done.answered(2, 1_000, MINUTE)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (done.requests, done.rows, done.busy_ns) == (8_000, 16_000, 8_000_000)


def _count_elsewhere(folder: Path) -> None:
    book = StatisticsBook(folder)
    book.of(*KEY).answered(3, 1_000, MINUTE)
    book.of(*KEY).loaded(50)
    # no close: it ends as a killed process does


def test_any_process_tells_of_all_and_ended_ones_are_not_forgotten(tmp_path: Path) -> None:
    book = StatisticsBook(tmp_path)
    book.of(*KEY).answered(1, 1_000, MINUTE)
    for _ in range(2):
        process = multiprocessing.get_context("spawn").Process(target=_count_elsewhere, args=(tmp_path,))
        process.start()
        process.join()
        assert process.exitcode == 0
    counted = book.read()[KEY]
    assert (counted.requests, counted.rows, counted.loads, counted.load_ns) == (3, 7, 2, 100)
    assert counted.minutes[1].requests == 3
    # the second one took over the file of the first
    assert len(list(tmp_path.iterdir())) == 2
    book.close()
    assert read_statistics(tmp_path)[KEY].requests == 3


def test_a_book_without_a_folder_keeps_to_itself() -> None:
    book = StatisticsBook()
    book.of(*KEY).answered(1, 1_000, MINUTE)
    assert book.of(*KEY) is book.of(*KEY)
    assert book.read()[KEY].requests == 1


def test_sums_take_the_newest_problem() -> None:
    first, second = ModelStatistics(), ModelStatistics()
    first.answered(1, 1_000, MINUTE)
    first.failed(1, "old", now_micros=MINUTE)
    second.answered(1, 1_000, 2 * MINUTE)
    second.failed(1, "new", kind="input", now_micros=2 * MINUTE)
    total = together([first.read(), second.read()])
    assert total is not None
    assert (total.requests, total.problem, total.failures["input"], total.failures["model"]) == (2, "new", 1, 1)
    assert together([]) is None
