"""A graph as lines of text, with what is alike drawn once."""

from __future__ import annotations

from interlock.cli.pipeline_progress import in_words
from interlock.pipelines.drawing import drawn
from interlock.ports.step_cache import GraphNode


def test_each_call_lies_below_what_it_takes() -> None:
    nodes = [
        GraphNode(0, "load", "reused", duration_s=0.5),
        GraphNode(1, "clean", "finished", inputs=(0,), group="features/", duration_s=0.25),
        *(GraphNode(number, "train", "finished", inputs=(1,)) for number in range(2, 6)),
        GraphNode(6, "select", "waiting", inputs=(2, 3, 4, 5)),
    ]
    assert [line.line for line in drawn(nodes)] == [
        "↺ load  500.0 ms",
        "  ✓ features/clean  250.0 ms  ← load",
        "    ✓ train × 4  ← features/clean",
        "      … select  ← train",
    ]


def test_a_thousand_calls_are_one_line_that_shows_the_worst() -> None:
    nodes = [GraphNode(number, "work", "finished") for number in range(1000)]
    nodes[700] = GraphNode(700, "work", "failed", error="no")
    (line,) = drawn(nodes)
    assert line.line == "✗ work × 1000" and line.count == 1000


def test_steps_of_one_name_with_other_sources_are_apart() -> None:
    nodes = [
        GraphNode(0, "a", "finished"),
        GraphNode(1, "b", "finished"),
        GraphNode(2, "c", "finished", inputs=(0,)),
        GraphNode(3, "c", "running", inputs=(1,)),
    ]
    assert [(line.step, line.after) for line in drawn(nodes)][2:] == [("c", ("a",)), ("c", ("b",))]


def test_how_far_it_has_come_in_words() -> None:
    nodes = [
        GraphNode(0, "load", "reused"),
        GraphNode(1, "train", "failed"),
        GraphNode(2, "train", "running"),
        GraphNode(3, "select", "waiting"),
    ]
    assert in_words(nodes) == "2 of 4 steps done (1 reused, 1 failed), running: train"
