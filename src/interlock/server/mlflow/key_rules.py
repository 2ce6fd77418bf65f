"""Hold the keys and values that clients log to MLflow's rules: which characters, how long, and how many at once."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from functools import lru_cache

from interlock.server.mlflow.refusals import invalid_value
from interlock.server.mlflow.run_records import KeyValue
from interlock.server.mlflow.wire import invalid, required

LONGEST_KEY = 250
LONGEST_PARAM = 6000
LONGEST_TAG = 8000
LONGEST_EXPERIMENT_TAG = 20_000
MOST_METRICS = 1000
MOST_PARAMS = MOST_TAGS = 100
MOST_TOGETHER = 1000
LARGEST_BATCH_BYTES = 1_000_000

_KEY = re.compile(r"[/\w.\- :]*")
_CHARACTERS = (
    "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:)"
    " and slashes (/)."
)


def check_key(key: str, *, path: str, of: str, longest: int = LONGEST_KEY) -> str:
    """Return the key of a metric, param or tag, if it may be one.

    Args:
        key: The key.
        path: Where the request has it, for the message.
        of: What it is the key of, for the message.
        longest: How many characters it may have.
    """
    trouble = _trouble(key)
    if trouble is not None:
        raise invalid(invalid_value(path, key, trouble))
    if len(key) > longest:
        raise invalid(f"'{of}' exceeds the maximum length of {longest} characters")
    return key


@lru_cache(maxsize=4096)
def _trouble(key: str) -> str | None:
    if not _KEY.fullmatch(key):
        return _CHARACTERS
    plain = posixpath.normpath(key)
    if plain != key or plain == "." or plain.startswith(("..", "/")):
        return f"Names may become paths of files, and as a path this one means {plain!r}."
    return None


def checked_params(params: Sequence[KeyValue], *, path: str = "params") -> dict[str, str]:
    """Return the params of a batch by key, long values cut; each key may be there once."""
    found: dict[str, str] = {}
    twice = []
    for place, param in enumerate(params):
        check_key(param.key, path=f"{path}[{place}].key", of="Param key")
        if param.key in found:
            twice.append(param.key)
        found[param.key] = param.value[:LONGEST_PARAM]
    if twice:
        raise invalid(f"Duplicate parameter keys have been submitted: {twice}. Give each key once.")
    return found


def checked_tags(tags: Sequence[KeyValue], *, path: str = "tags") -> dict[str, str]:
    """Return the tags of a batch by key, long values cut; of equal keys the last counts."""
    return {
        check_key(tag.key, path=f"{path}[{place}].key", of=f"{path}[{place}].key"): tag.value[:LONGEST_TAG]
        for place, tag in enumerate(tags)
    }


def checked_experiment_tags(tags: Sequence[KeyValue]) -> dict[str, str]:
    """Return the tags of an experiment by key."""
    for tag in tags:
        check_key(tag.key, path="key", of="key")
        if len(tag.value) > LONGEST_EXPERIMENT_TAG:
            raise invalid(f"'value' exceeds the maximum length of {LONGEST_EXPERIMENT_TAG} characters")
    return {tag.key: tag.value for tag in tags}


def check_counts(*, metrics: int, params: int, tags: int) -> None:
    """Refuse a batch that holds too much."""
    for name, count, most in (
        ("metrics", metrics, MOST_METRICS),
        ("params", params, MOST_PARAMS),
        ("tags", tags, MOST_TAGS),
        ("metrics, params, and tags", metrics + params + tags, MOST_TOGETHER),
    ):
        if count > most:
            raise invalid(f"A batch logging request can contain at most {most} {name}. Got {count} {name}.")


def checked_run_id(run_id: str, run_uuid: str = "") -> str:
    """Return the id of the run that a request is about, by either of its names."""
    found = run_id or run_uuid
    if not found:
        raise required("run_id")
    return found
