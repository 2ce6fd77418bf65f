"""Answer what the Open Inference extensions let callers ask of the server's own settings: logging and tracing.

Source: the extensions `logging` and `trace` as NVIDIA's client expects them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from interlock.core.errors import InvalidInput, did_you_mean

_logger = logging.getLogger("interlock")
_LEVELS = {"log_error": logging.ERROR, "log_warning": logging.WARNING, "log_info": logging.INFO}
_OFF = logging.CRITICAL + 10

TRACE_SETTINGS: dict[str, Any] = {
    "trace_level": ["OFF"],
    "trace_rate": "1000",
    "trace_count": "-1",
    "log_frequency": "0",
    "trace_file": "",
    "trace_mode": "opentelemetry",
}


def read_settings(body: bytes) -> dict[str, Any]:
    """Read the settings that a caller sends; an empty body is none.

    Raises:
        InvalidInput: It is no JSON object.
    """
    try:
        return msgspec.json.decode(body, type=dict[str, Any]) if body.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("the settings cannot be read", why=f"expected a JSON object; {error}") from error


def log_settings() -> dict[str, Any]:
    """Return what the server logs."""
    level = _logger.getEffectiveLevel()
    return {
        "log_file": "",
        **{name: level <= at for name, at in reversed(_LEVELS.items())},
        "log_verbose_level": 1 if level <= logging.DEBUG else 0,
        "log_format": "default",
    }


def change_log_settings(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Change from which level on this process logs; return all settings.

    Nothing is changed if one of the settings is refused. Levels include those above them: information without
    warnings is not possible.

    Raises:
        InvalidInput: A setting is not known, is of the wrong type, or would let a caller choose a file.
    """
    now = log_settings()
    for name, value in wanted.items():
        if name not in now:
            raise InvalidInput(f"there is no log setting '{name[:60]}'", why=did_you_mean(name[:60], now))
        if name in ("log_file", "log_format") and value != now[name]:
            raise InvalidInput(
                f"the setting '{name}' cannot be changed by callers", why="who starts the server says where it logs"
            )
        if name in _LEVELS and type(value) is not bool:
            raise InvalidInput(f"the setting '{name}' is true or false", why=f"got {type(value).__name__}")
        if name == "log_verbose_level" and (type(value) is not int or value < 0):
            raise InvalidInput("the setting 'log_verbose_level' is a number from 0 on", why="0 is off")
    now |= wanted
    _logger.setLevel(_level_of(now))
    return log_settings()


def _level_of(settings: Mapping[str, Any]) -> int:
    if settings["log_verbose_level"] > 0:
        return logging.DEBUG
    return min((level for name, level in _LEVELS.items() if settings[name]), default=_OFF)


def change_trace_settings(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the trace settings, if nothing else is wanted of them; null means what the server has.

    Raises:
        InvalidInput: Something else is: traces are exported as who starts the server says, not as a caller does.
    """
    for name, value in wanted.items():
        if name not in TRACE_SETTINGS:
            raise InvalidInput(f"there is no trace setting '{name[:60]}'", why=did_you_mean(name[:60], TRACE_SETTINGS))
        known = TRACE_SETTINGS[name]
        if value is not None and value != known and [str(value)] != known and str(value) != known:
            raise InvalidInput(
                f"the setting '{name}' cannot be changed by callers",
                why="traces are exported by OpenTelemetry, as the environment of the server says",
            )
    return TRACE_SETTINGS
