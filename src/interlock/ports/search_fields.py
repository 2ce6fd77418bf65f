"""Say what can be searched: by which names a filter calls it, of which type it is, and what may be asked of it."""

from __future__ import annotations

from typing import Literal

import msgspec

from interlock.ports.search import Field, Operator, OrderBy, Part

Kind = Literal["text", "number", "time"]
"""What an attribute holds: text, a whole number, or a time as microseconds since 1970 UTC."""

NULLS: tuple[Operator, ...] = ("IS NULL", "IS NOT NULL")
TEXTS: tuple[Operator, ...] = ("=", "!=", "LIKE", "ILIKE", "IN", "NOT IN")
NUMBERS: tuple[Operator, ...] = ("=", "!=", "<", "<=", ">", ">=")
IDS: tuple[Operator, ...] = ("=", "!=", "IN", "NOT IN")


class Attribute(msgspec.Struct, frozen=True):
    """One attribute, as one way of writing filters calls it.

    Args:
        key: Its name in a `Field`.
        kind: What it holds.
        operators: What a filter may compare it by.
        may_be_missing: Whether `IS NULL` makes sense.
        unit_us: Microseconds that 1 means, where a filter gives a time as a number.
        words: How a filter spells its values, if it can only have some.
        before: Where filters give a path, what follows the part of it that is the value.
    """

    key: str
    kind: Kind = "text"
    operators: tuple[Operator, ...] = TEXTS
    may_be_missing: bool = False
    unit_us: int = 1
    words: dict[str, str] = {}
    before: str = ""


class Searchable(msgspec.Struct, frozen=True):
    """What can be searched of one kind of record.

    Args:
        what: What the records are called.
        attributes: Their attributes, by every name a filter may use.
        parts: What else they have.
        ties: What decides where the order asked for leaves a choice; the last is unique.
        cut: Whether params, tags, `name` and `user` order by their beginning where they are long.
        on_datasets: Whether metrics may be those on some dataset.
    """

    what: str
    attributes: dict[str, Attribute]
    parts: tuple[Part, ...]
    ties: tuple[OrderBy, ...]
    cut: bool = False
    on_datasets: bool = False

    def kinds(self) -> dict[str, Kind]:
        """Return what each attribute holds, by its name in a `Field`."""
        return {one.key: one.kind for one in self.attributes.values()}

    def may_be_missing(self, key: str) -> bool:
        """Say whether a record may lack the attribute of that name in a `Field`."""
        return any(one.may_be_missing for one in self.attributes.values() if one.key == key)


def _text(key: str, *, may_be_missing: bool = False, words: dict[str, str] | None = None) -> Attribute:
    return Attribute(key, may_be_missing=may_be_missing, words=words or {})


def _time(key: str, *, may_be_missing: bool = False, unit_us: int = 1) -> Attribute:
    return Attribute(key, "time", NUMBERS, may_be_missing, unit_us)


def _number(key: str) -> Attribute:
    return Attribute(key, "number", (*NUMBERS, "IN", "NOT IN"))


def _by(key: str, *, descending: bool = False) -> OrderBy:
    return OrderBy(Field("attribute", key), descending)


def _own(*attributes: Attribute) -> dict[str, Attribute]:
    return {one.key: one for one in attributes}


_NEWEST_RUNS = (_by("started_at", descending=True), _by("id"))

RUNS = Searchable(
    "runs",
    _own(
        _text("id"),
        _text("name"),
        _text("status"),
        _text("kind"),
        _text("experiment"),
        _text("parent", may_be_missing=True),
        _text("user", may_be_missing=True),
        _time("started_at"),
        _time("ended_at", may_be_missing=True),
    ),
    ("metric", "param", "tag", "dataset"),
    _NEWEST_RUNS,
    cut=True,
)
EXPERIMENTS = Searchable(
    "experiments",
    _own(_number("id"), _text("name"), _time("created_at"), _time("updated_at")),
    ("tag",),
    (_by("created_at", descending=True), _by("id", descending=True)),
)
LOGGED_MODELS = Searchable(
    "logged models",
    _own(
        _text("id"),
        _text("name"),
        _text("kind"),
        _text("status"),
        _text("run", may_be_missing=True),
        _time("created_at"),
        _time("updated_at"),
    ),
    ("metric", "param", "tag"),
    (_by("created_at", descending=True), _by("id")),
    on_datasets=True,
)
MODELS = Searchable(
    "registered models", _own(_text("name"), _time("created_at"), _time("updated_at")), ("tag",), (_by("name"),)
)
VERSIONS = Searchable(
    "model versions",
    _own(
        _text("model"),
        _number("version"),
        _text("run", may_be_missing=True),
        _text("source"),
        _text("stage"),
        _time("created_at"),
        _time("updated_at"),
    ),
    ("tag",),
    (_by("model"), _by("version", descending=True)),
)

# the same as MLflow's clients write it: other names, milliseconds, states in capitals
_MS = 1000
_RUN_STATES = {word.upper(): word for word in ("running", "scheduled", "finished", "failed", "killed")}
_MODEL_STATES = {word.upper(): word for word in ("pending", "ready", "failed")}
_RUN_NAME = _text("name")
_START = _time("started_at", unit_us=_MS)
_CREATED = _time("created_at", unit_us=_MS)
_UPDATED = _time("updated_at", unit_us=_MS)

MLFLOW_RUNS = Searchable(
    "runs",
    {
        "run_id": _text("id"),
        "run_name": _RUN_NAME,
        "run name": _RUN_NAME,
        "Run name": _RUN_NAME,
        "Run Name": _RUN_NAME,
        "status": _text("status", words=_RUN_STATES),
        "user_id": _text("user", may_be_missing=True),
        "start_time": _START,
        "created": _START,
        "Created": _START,
        "end_time": _time("ended_at", may_be_missing=True, unit_us=_MS),
        "artifact_uri": Attribute("id", before="/artifacts"),
    },
    RUNS.parts,
    RUNS.ties,
    cut=True,
)
MLFLOW_EXPERIMENTS = Searchable(
    "experiments",
    {
        "name": _text("name"),
        "experiment_id": Attribute("id", "number", IDS),
        "creation_time": _CREATED,
        "last_update_time": _UPDATED,
    },
    EXPERIMENTS.parts,
    EXPERIMENTS.ties,
)
MLFLOW_LOGGED_MODELS = Searchable(
    "logged models",
    {
        "name": _text("name"),
        "model_id": _text("id"),
        "model_type": _text("kind"),
        "status": _text("status", words=_MODEL_STATES),
        "source_run_id": _text("run", may_be_missing=True),
        "creation_time": _CREATED,
        "creation_timestamp": _CREATED,
        "creation_timestamp_ms": _CREATED,
        "last_updated_time": _UPDATED,
        "last_updated_timestamp": _UPDATED,
        "last_updated_timestamp_ms": _UPDATED,
    },
    LOGGED_MODELS.parts,
    LOGGED_MODELS.ties,
    on_datasets=True,
)
MLFLOW_MODELS = Searchable(
    "registered models",
    {
        "name": _text("name"),
        "timestamp": _UPDATED,
        "creation_timestamp": _CREATED,
        "last_updated_timestamp": _UPDATED,
    },
    MODELS.parts,
    MODELS.ties,
)
MLFLOW_VERSIONS = Searchable(
    "model versions",
    {
        "name": _text("model"),
        "version_number": Attribute("version", "number", NUMBERS),
        "run_id": _text("run", may_be_missing=True),
        "source_path": _text("source"),
        "creation_timestamp": _CREATED,
        "last_updated_timestamp": _UPDATED,
    },
    VERSIONS.parts,
    VERSIONS.ties,
)
