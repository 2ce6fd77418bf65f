"""Write plain values as block YAML, the same text for the same value."""

from __future__ import annotations

import json
import re
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./+-]*")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def yaml_text(value: dict[str, Any]) -> str:
    """Return a mapping as YAML, keys (of less than 1,024 characters) in their order.

    Source: YAML 1.1, sections 4.1.6 (escapes) and 9 (styles); 1.2 readers agree.

    Example:
        >>> print(yaml_text({"flavors": {"onnx": {"data": "model.onnx"}}, "version": "1.0"}), end="")
        flavors:
          onnx:
            data: model.onnx
        version: "1.0"
    """
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [line for key, item in value.items() for line in _entry(f"{_scalar(str(key))}:", item)]
    return [line for item in value for line in _entry("-", item)]


def _entry(head: str, item: Any) -> list[str]:
    if isinstance(item, (dict, list, tuple)) and item:
        return [head, *("  " + line for line in _lines(item))]
    if isinstance(item, (dict, list, tuple)):
        return [f"{head} {'{}' if isinstance(item, dict) else '[]'}"]
    return [f"{head} {_scalar(item)}"]


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if " " <= character <= "~":
        return character
    return f"\\u{ord(character):04x}" if ord(character) <= 0xFFFF else f"\\U{ord(character):08x}"
