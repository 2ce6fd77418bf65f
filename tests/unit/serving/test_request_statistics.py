from __future__ import annotations

import os
from pathlib import Path

from interlock.serving.request_statistics import DROPPED_LINES, DROPPED_SPANS, RequestBook
from tests.forks import play

KEY = ("delay", "oip", "1", 200)


def test_requests_are_counted_by_what_they_have_in_common() -> None:
    book = RequestBook()
    for status in (200, 200, 422):
        book.began()
        book.ended(("delay", "oip", "1", status), 5_000, 10)
    found = book.read()
    assert {key[3]: (one.count, one.busy_ns, one.bytes) for key, one in found.items()} == {
        200: (2, 10_000, 20),
        422: (1, 5_000, 10),
    }
    assert sum(found[KEY].latency) == 2


def test_what_runs_now_is_told() -> None:
    book = RequestBook()
    book.began()
    book.began()
    book.dropped(DROPPED_LINES, 4)
    book.dropped(DROPPED_SPANS, 5)
    [worker] = book.workers()
    assert (worker.pid, worker.in_flight, worker.dropped_lines, worker.dropped_spans) == (os.getpid(), 2, 4, 5)
    book.ended(KEY, 10**12, 0)
    assert book.workers()[0].in_flight == 1


def test_processes_add_up(tmp_path: Path) -> None:
    first, second = RequestBook(tmp_path), RequestBook(tmp_path)
    for book in (first, second):
        book.began()
        book.ended(KEY, 1_000, 7)
    second.began()
    assert first.read()[KEY].count == 2
    assert first.read()[KEY].bytes == 14
    assert [worker.in_flight for worker in first.workers()] == [0, 1]
    second.close()
    assert [worker.worker for worker in first.workers()] == ["0"]
    assert first.read()[KEY].count == 2
    first.close()


FORKS = """
from pathlib import Path
from interlock.serving.request_statistics import RequestBook
from tests.unit.serving.test_request_statistics import KEY

def work():
    book.began()
    book.ended(KEY, 1_000, 1)

folder = Path(sys.argv[1])
book = RequestBook(folder)
in_child(work)
print(book.read()[KEY].count, len(list(folder.iterdir())))
book.close()
"""


def test_a_forked_process_begins_a_file_of_its_own(tmp_path: Path) -> None:
    assert play(FORKS, tmp_path).split() == ["1", "2"]
