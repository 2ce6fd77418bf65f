"""Cards stand by themselves, and nothing in them is taken for HTML."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

from interlock.experiments.display import run_card, runs_table
from interlock.ports.run_store import MetricSummary, Run

BAD = "<img src=x onerror=alert(1)>&\"'"
START = datetime(2026, 1, 1, tzinfo=UTC)


def a_run(number: int = 0, **changes: object) -> Run:
    fields = {
        "id": f"01J{number}",
        "experiment": BAD,
        "kind": "training",
        "name": BAD,
        "status": "failed",
        "started_at": START,
        "ended_at": START + timedelta(seconds=75),
        "params": {BAD: BAD, "deep": {"rate": 0.1, "empty": {}}},
        "tags": {BAD: BAD},
        "metrics": {BAD: MetricSummary(BAD, 0.123456789, 1.0, float("nan"), 2.0, 1.0, 3, 2.0)},
        "error": BAD,
    }
    return Run(**{**fields, **changes})  # type: ignore[arg-type]


class Parser(HTMLParser):
    """Collects tags and texts, and sees that every tag is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        assert not any(name.startswith("on") or name in ("src", "href") for name, _ in attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def parsed(text: str) -> Parser:
    parser = Parser()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    assert not {"img", "script", "link", "iframe"} & set(parser.tags)
    return parser


def test_a_run_is_a_card() -> None:
    texts = parsed(run_card(a_run())).texts
    assert texts.count(BAD) >= 6
    assert {"deep.rate", "0.1", "deep.empty", "0.123457", "nan", "3", "failed"} <= set(texts)
    assert any("1 min" in text or "75" in text or "1:15" in text for text in texts), texts


def test_a_run_that_goes_on_has_no_end() -> None:
    card = run_card(a_run(status="running", ended_at=None, error=None, params={}, tags={}, metrics={}))
    assert "<table" not in card
    assert "2026-01-01 00:00:00 UTC" in card


def test_long_tables_and_texts_are_cut() -> None:
    texts = parsed(run_card(a_run(params={f"p{n:03d}": "x" * 1000 for n in range(100)}, error="y" * 10_000))).texts
    assert "and 60 more" in texts
    assert max(map(len, texts)) <= 4000


def test_runs_are_a_table() -> None:
    texts = parsed(runs_table("Newest <runs>", [a_run(1), a_run(2, metrics={})])).texts
    assert "Newest <runs>" in texts
    assert texts.count("0.123457") == 1
    assert "no runs yet" in runs_table("None", [])
