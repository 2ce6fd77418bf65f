"""Say how a step is to be run: how often, for how long, on what, with which secrets, and whether it is reused."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from interlock.core.errors import InvalidInput, did_you_mean

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*", re.IGNORECASE)
_UNITS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_SECRET_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST_S = 366 * 24 * 3600.0


class StepOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How one step is run; what it computes does not depend on it, `salt` apart.

    Args:
        retries: How many more times to try when it raises.
        backoff_s: How long to wait before the first retry, in seconds; each further wait is twice as long, and up
            to half of each is taken off at random.
        backoff_limit_s: The longest wait, in seconds.
        retry_on: Exceptions after which trying again makes sense.
        timeout_s: How long one attempt may take, in seconds; None for as long as it likes.
        cpus: How many processors it needs.
        gpus: How many GPUs it needs.
        memory_bytes: How much memory it may use; None for as much as there is.
        priority: Steps with a higher one start first where several could.
        environment: What to install for it: requirements such as `("pandas==2.2",)`, or one path of a lock file;
            empty for the environment of the pipeline.
        secrets: Environment variable to where its value is: `env:NAME` or `file:PATH`.
        cache: Whether its output may be reused; "always" for one that reads the clock, the network or chance as well.
        salt: A text that changes the key, to run it anew on purpose.
        expires_s: How long its output may be reused, in seconds; None for ever.
        early_cut: Whether steps that read its output are reused when it ran again and gave the same.
        log_limit_bytes: How much of what it prints is kept, its beginning and its end.
    """

    retries: int = 0
    backoff_s: float = 0.0
    backoff_limit_s: float = 60.0
    retry_on: tuple[type[BaseException], ...] = (Exception,)
    timeout_s: float | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    memory_bytes: int | None = None
    priority: int = 0
    environment: tuple[str, ...] = ()
    secrets: dict[str, str] = {}
    cache: bool | Literal["always"] = True
    salt: str = ""
    expires_s: float | None = None
    early_cut: bool = True
    log_limit_bytes: int = 1024 * 1024

    def wait_s(self, attempt: int) -> float:
        """Return how long to wait after a failed attempt, the first being 1, in seconds."""
        longest = min(self.backoff_s * 2.0 ** min(attempt - 1, 60), self.backoff_limit_s)
        return longest * random.uniform(0.5, 1.0)


def make_options(given: Mapping[str, Any], *, standing: StepOptions | None = None, step: str = "") -> StepOptions:
    """Return options with some of them given, after checking those.

    People write `memory="2 GiB"`, `timeout=30`, `expires=3600` (in seconds) and `retry_on=OSError`.

    Raises:
        InvalidInput: An option does not exist, or its value makes no sense.
    """
    values, whose = dict(given), f"step '{step}'" if step else "a step"
    for short_name, name in _SHORT_NAMES.items():
        if short_name in values:
            if name in values:
                raise InvalidInput(f"{whose} has both {short_name}= and {name}=", why="they mean the same")
            values[name] = values.pop(short_name)
    for name, value in values.items():
        if name not in StepOptions.__struct_fields__:
            known = {*StepOptions.__struct_fields__, *_SHORT_NAMES}
            raise InvalidInput(f"{whose} has no option {name}", why=did_you_mean(name, known))
        try:
            values[name] = _READERS[name](value)
        except (TypeError, ValueError) as error:
            shown = "…" if name == "secrets" else repr(value)  # it may be the secret itself
            what = f"{whose}: {name}={shown} makes no sense"
            raise InvalidInput(what, why=str(error), fix=_FIXES.get(name, "")) from None
    return msgspec.structs.replace(standing or StepOptions(), **values)


def _whole(low: int) -> Any:
    def read(value: Any) -> int:
        if type(value) is not int or value < low:
            raise ValueError(f"expected {low} or more, as a whole number")
        return value

    return read


def _number(low: float, *, none: bool = False, above: bool = False) -> Any:
    def read(value: Any) -> float | None:
        if value is None and none:
            return None
        if hasattr(value, "total_seconds"):
            value = value.total_seconds()
        wrong = isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value)
        if wrong or value < low or (above and value == low) or value > _LONGEST_S:
            raise ValueError(f"expected a number {'above' if above else 'of at least'} {low:g}")
        return float(value)

    return read


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("expected True or False")
    return value


def _cache(value: Any) -> Any:
    if value != "always" and type(value) is not bool:
        raise ValueError('expected True, False or "always"')
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected a text, got a {type(value).__name__}")
    return value


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("expected a whole number")
    return value


def _exceptions(value: Any) -> tuple[type[BaseException], ...]:
    kinds = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if not kinds or not all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds):
        raise ValueError("expected an exception class, or several")
    return kinds


def _size(value: Any) -> int | None:
    if value is None or (type(value) is int and value > 0):
        return value
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None or float(found[1]) == 0:
        raise ValueError("expected a size above 0: a number of bytes or a text with its unit")
    return int(float(found[1]) * (1024 if found[3] else 1000) ** _UNITS[found[2].upper()])


def _environment(value: Any) -> tuple[str, ...]:
    lines = (value,) if isinstance(value, str) else value
    if not isinstance(lines, Sequence) or not all(isinstance(line, str) and line.strip() for line in lines):
        raise ValueError("expected requirements, or the path of a lock file")
    return tuple(line.strip() for line in lines)


def _secrets(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError("expected environment variable to where its value is")
    for name, place in value.items():
        if not isinstance(name, str) or not _SECRET_NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot name an environment variable")
        kind, _, where = place.partition(":") if isinstance(place, str) else ("", "", "")
        if kind not in ("env", "file") or not where:
            raise ValueError(f"the place of {name} is not env:NAME or file:PATH; never write the secret itself")
    return dict(value)


_SHORT_NAMES = {
    "backoff": "backoff_s",
    "timeout": "timeout_s",
    "cpu": "cpus",
    "gpu": "gpus",
    "memory": "memory_bytes",
    "expires": "expires_s",
}
_READERS: dict[str, Any] = {
    "retries": _whole(0),
    "backoff_s": _number(0),
    "backoff_limit_s": _number(0),
    "retry_on": _exceptions,
    "timeout_s": _number(0, none=True, above=True),
    "cpus": _number(0),
    "gpus": _number(0),
    "memory_bytes": _size,
    "priority": _integer,
    "environment": _environment,
    "secrets": _secrets,
    "cache": _cache,
    "salt": _text,
    "expires_s": _number(0, none=True, above=True),
    "early_cut": _flag,
    "log_limit_bytes": _whole(1024),
}
_FIXES = {
    "retry_on": "retry_on=(OSError, TimeoutError)",
    "memory_bytes": 'memory="2 GiB"',
    "environment": 'environment=["pandas==2.2"] or environment="train.lock"',
    "secrets": 'secrets={"TOKEN": "env:TOKEN"}',
}
