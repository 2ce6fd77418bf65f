"""What spans say in other frameworks' words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from interlock.server.mlflow.span_conventions import (
    INPUTS,
    KIND,
    LONGEST_PREVIEW,
    MODEL,
    OUTPUTS,
    PROVIDER,
    TRACE_COST,
    TRACE_USAGE,
    USAGE,
    figures_of,
    in_mlflows_words,
    preview_of,
    session_of,
    user_of,
)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"openinference.span.kind": "RETRIEVER"}, {KIND: "RETRIEVER"}),
        ({"openinference.span.kind": "CAT"}, {}),
        ({KIND: "UNKNOWN", "gen_ai.operation.name": "execute_tool"}, {KIND: "TOOL"}),
        ({KIND: "CHAIN", "gen_ai.operation.name": "chat"}, {KIND: "CHAIN"}),
        ({"ai.operationId": "ai.streamText.doStream"}, {KIND: "LLM"}),
        ({"traceloop.span.kind": 7}, {}),
        ({"input.value": '{"a": 1}', "output.value": "[1, 2"}, {INPUTS: {"a": 1}, OUTPUTS: "[1, 2"}),
        ({INPUTS: 0, "input.value": "x"}, {INPUTS: 0}),
        ({"gen_ai.request.model": "m-1", "gen_ai.system": "acme"}, {MODEL: "m-1", PROVIDER: "acme"}),
        ({"gen_ai.usage.input_tokens": 3}, {USAGE: {"input_tokens": 3}}),
        (
            {"ai.usage.promptTokens": 3, "ai.usage.completionTokens": "4"},
            {USAGE: {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}},
        ),
        (
            {"llm.token_count.prompt": 3, "llm.token_count.prompt_details.cache_read": 2, "llm.usage.total_tokens": 9},
            {USAGE: {"input_tokens": 3, "cache_read_input_tokens": 2, "total_tokens": 9}},
        ),
        ({"llm.token_count.prompt": -1, "gen_ai.usage.output_tokens": True}, {}),
        ({"llm.token_count.prompt": "many"}, {}),
        ({"llm.token_count.prompt_details.cache_read": 2}, {}),
    ],
)
def test_what_others_say_is_added_under_mlflows_names(attributes: dict[str, Any], expected: dict[str, Any]) -> None:
    found = in_mlflows_words(attributes)
    assert {key: value for key, value in found.items() if key not in attributes or key in expected} == expected
    assert {key: found[key] for key in attributes if key != KIND} == {k: v for k, v in attributes.items() if k != KIND}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, {}),
        ({USAGE: {}}, {}),
        ({USAGE: "much"}, {}),
        ({USAGE: [1]}, {}),
        (
            {USAGE: {"input_tokens": 3, "cache": 1, "x": "y", "bad": float("nan")}},
            {TRACE_USAGE: {"input_tokens": 3, "output_tokens": 0, "total_tokens": 0, "cache": 1}},
        ),
        (
            {"mlflow.llm.cost": json.dumps({"total_cost": 0.5})},
            {TRACE_COST: {"input_cost": 0.0, "output_cost": 0.0, "total_cost": 0.5}},
        ),
    ],
)
def test_figures_are_numbers(attributes: dict[str, Any], expected: dict[str, Any]) -> None:
    assert figures_of(attributes) == expected


def test_sessions_and_users_are_found() -> None:
    assert session_of({"gen_ai.conversation.id": "c", "session.id": "s"}) == "s"
    assert session_of({"gen_ai.conversation.id": 7}) == "7"
    assert session_of({"session.id": "x" * 999}) == "x" * 250
    assert (session_of({}), user_of({"user.id": "u"}), user_of({"user.id": ""})) == (None, "u", None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("Why?", '"Why?"'),
        (7, "7"),
        ({"x": 21}, '{"x": 21}'),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "a"),
        ({"messages": [{"role": "system", "content": "s"}]}, "s"),
        ({"messages": []}, '{"messages": []}'),
        ({"input": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "t"}]}]}, "t"),
        ({"request": {"messages": [{"role": "user", "content": "deep"}]}}, "deep"),
        ({"choices": [{"message": {"role": "assistant", "content": "c"}}]}, "c"),
        ({"choices": "x"}, '{"choices": "x"}'),
        ('{"messages": [{"role": "user", "content": "json"}]}', "json"),
    ],
)
def test_a_preview_is_what_was_said_last(value: Any, expected: str | None) -> None:
    assert preview_of(value, role="user") == expected


def test_a_preview_is_short() -> None:
    preview = preview_of("x" * 5000, role="user")
    assert preview is not None
    assert (len(preview), preview[-3:]) == (LONGEST_PREVIEW, "...")
    endless: dict[str, Any] = {}
    endless["request"] = {"request": {"request": {"request": {"messages": [{"role": "user", "content": "x"}]}}}}
    assert preview_of(endless, role="user") == json.dumps(endless)
