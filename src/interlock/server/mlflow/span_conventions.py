"""Read what frameworks say in attributes of their own: kind of work, inputs, outputs, model and tokens.

Source: OpenTelemetry's semantic conventions for generative AI, OpenInference, OpenLLMetry (Traceloop), Vercel's AI
SDK, and MLflow's own names, in which what is found is noted on the span where it has none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

KIND = "mlflow.spanType"
INPUTS = "mlflow.spanInputs"
OUTPUTS = "mlflow.spanOutputs"
USAGE = "mlflow.chat.tokenUsage"
COST = "mlflow.llm.cost"
MODEL = "mlflow.llm.model"
PROVIDER = "mlflow.llm.provider"
TRACE_USAGE = "mlflow.trace.tokenUsage"
TRACE_COST = "mlflow.trace.cost"
SESSIONS = ("session.id", "gen_ai.conversation.id")
USER = "user.id"
LONGEST_PREVIEW = 1000

_KINDS: dict[str, dict[str, str]] = {
    "openinference.span.kind": {
        kind: kind
        for kind in (
            "TOOL CHAIN LLM RETRIEVER EMBEDDING AGENT RERANKER UNKNOWN GUARDRAIL EVALUATOR".split()  # noqa: SIM905
        )
    },
    "gen_ai.operation.name": {
        "chat": "CHAT_MODEL",
        "create_agent": "AGENT",
        "invoke_agent": "AGENT",
        "embeddings": "EMBEDDING",
        "execute_tool": "TOOL",
        "generate_content": "LLM",
        "text_completion": "LLM",
    },
    "traceloop.span.kind": {"workflow": "WORKFLOW", "task": "TASK", "agent": "AGENT", "tool": "TOOL"},
    "ai.operationId": {
        "ai.toolCall": "TOOL",
        **{f"ai.{verb}{suffix}": "EMBEDDING" for verb in ("embed", "embedMany") for suffix in ("", ".doEmbed")},
        **{
            f"ai.{verb}{suffix}": "LLM"
            for verb, inner in (
                ("generateText", ".doGenerate"),
                ("streamText", ".doStream"),
                ("generateObject", ".doGenerate"),
                ("streamObject", ".doStream"),
            )
            for suffix in ("", inner)
        },
    },
}
_IN: tuple[str, ...] = (
    "input.value",
    "gen_ai.input.messages",
    "gen_ai.tool.call.arguments",
    "traceloop.entity.input",
    "gen_ai.prompt.0.content",
    "ai.prompt",
    "ai.toolCall.args",
    "ai.value",
    "ai.values",
)
_OUT: tuple[str, ...] = (
    "output.value",
    "gen_ai.output.messages",
    "gen_ai.tool.call.result",
    "traceloop.entity.output",
    "gen_ai.completion.0.content",
    "ai.response.text",
    "ai.toolCall.result",
    "ai.response.object",
    "ai.embedding",
    "ai.embeddings",
)
_MODELS: tuple[str, ...] = (
    "llm.response.model_name",
    "llm.model_name",
    "gen_ai.response.model",
    "gen_ai.request.model",
    "llm.request.model_name",
    "embedding.model_name",
    "ai.model.id",
)
_PROVIDERS: tuple[str, ...] = ("llm.provider", "gen_ai.provider.name", "gen_ai.system", "ai.model.provider")
_TOKENS: dict[str, tuple[str, ...]] = {
    "input_tokens": (
        "llm.token_count.prompt",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "ai.usage.promptTokens",
    ),
    "output_tokens": (
        "llm.token_count.completion",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "ai.usage.completionTokens",
    ),
    "total_tokens": ("llm.token_count.total", "llm.usage.total_tokens"),
    "cache_read_input_tokens": ("llm.token_count.prompt_details.cache_read", "gen_ai.usage.cache_read.input_tokens"),
    "cache_creation_input_tokens": (
        "llm.token_count.prompt_details.cache_write",
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
    ),
}
_TOTALS: dict[str, tuple[tuple[str, ...], int | float]] = {
    TRACE_USAGE: (("input_tokens", "output_tokens", "total_tokens"), 0),
    TRACE_COST: (("input_cost", "output_cost", "total_cost"), 0.0),
}


def in_mlflows_words(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes with what other conventions say added under MLflow's names, where those are free."""
    found = dict(attributes)
    if found.get(KIND) in (None, "UNKNOWN") and (kind := _kind(found)):
        found[KIND] = kind
    for name, keys in ((INPUTS, _IN), (OUTPUTS, _OUT)):
        if name not in found and (value := _first(found, keys)) is not None:
            found[name] = _parsed(value)
    for name, names in ((MODEL, _MODELS), (PROVIDER, _PROVIDERS)):
        if name not in found and isinstance(value := _first(found, names), str) and value:
            found[name] = value
    if USAGE not in found and (usage := _usage(found)):
        found[USAGE] = usage
    return found


def figures_of(attributes: Mapping[str, Any]) -> dict[str, dict[str, int | float]]:
    """Return what a span consumed, by the key of the trace's metadata that sums it up."""
    figures: dict[str, dict[str, int | float]] = {}
    for name, key in ((USAGE, TRACE_USAGE), (COST, TRACE_COST)):
        given = _parsed(attributes.get(name))
        if isinstance(given, Mapping) and given:
            wanted, nothing = _TOTALS[key]
            numbers = {str(one): value for one, value in given.items() if _is_number(value)}
            figures[key] = {**dict.fromkeys(wanted, nothing), **numbers}
    return figures


def session_of(attributes: Mapping[str, Any]) -> str | None:
    """Return the session that a span belongs to, if it names one."""
    return _text(_first(attributes, SESSIONS))


def user_of(attributes: Mapping[str, Any]) -> str | None:
    """Return the user that a span worked for, if it names one."""
    return _text(attributes.get(USER))


def preview_of(value: Any, *, role: str) -> str | None:
    """Return what people see of a request or an answer: the last message of a role, or all of it, cut.

    Args:
        value: The inputs or outputs of a root span.
        role: Whose message is wanted where there are messages (`user`, `assistant`).
    """
    if value is None:
        return None
    text = _message(_parsed(value), role) or _json(value)
    return text if len(text) <= LONGEST_PREVIEW else text[: LONGEST_PREVIEW - 3] + "..."


def _kind(attributes: Mapping[str, Any]) -> str | None:
    for key, kinds in _KINDS.items():
        kind = attributes.get(key)
        if isinstance(kind, str) and kind in kinds:
            return kinds[kind]
    return None


def _usage(attributes: Mapping[str, Any]) -> dict[str, int]:
    usage = {name: count for name, keys in _TOKENS.items() if (count := _count(_first(attributes, keys))) is not None}
    if "total_tokens" not in usage and {"input_tokens", "output_tokens"} <= usage.keys():
        usage["total_tokens"] = usage["input_tokens"] + usage["output_tokens"]
    return usage if usage.keys() & {"input_tokens", "output_tokens", "total_tokens"} else {}


def _count(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 16:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def _first(attributes: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next((attributes[key] for key in keys if attributes.get(key) is not None), None)


def _text(value: Any) -> str | None:
    text = value if isinstance(value, str) else None if value is None else _json(value)
    return text[:250] if text else None


def _parsed(value: Any) -> Any:
    """Return what a text says, if it is JSON of an object or a list; else the value."""
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _json(value: Any) -> str:
    return json.dumps(value, default=str)


def _message(value: Any, role: str) -> str:
    messages = _messages(value, depth=0)
    if not messages:
        return ""
    content = next((one for one in reversed(messages) if one.get("role") == role), messages[-1]).get("content")
    if isinstance(content, list):
        parts = (one if isinstance(one, str) else one.get("text") if isinstance(one, dict) else None for one in content)
        content = next((part for part in parts if isinstance(part, str)), "")
    return content if isinstance(content, str) else ""


def _messages(value: Any, *, depth: int) -> list[dict[str, Any]]:
    """Return the messages of a chat in any of its common forms."""
    if not isinstance(value, dict) or depth > 3:
        return []
    for key in ("messages", "input", "output"):
        if isinstance(listed := value.get(key), list):
            return [one for one in listed if isinstance(one, dict) and "role" in one and "content" in one]
    choices = value.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        message = choices[0].get("message")
        return [message] if isinstance(message, dict) and "role" in message else []
    return _messages(value.get("request"), depth=depth + 1)
