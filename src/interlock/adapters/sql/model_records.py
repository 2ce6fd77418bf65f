"""Read and write the rows that say what registered models and their versions are called, tagged and about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from interlock.adapters.sql.database import Readable, Transaction
from interlock.core.clock import from_micros, to_micros
from interlock.ports.checks import unknown_name
from interlock.ports.model_catalog import RegisteredModel, VersionNotes

SCHEMA = (
    """CREATE TABLE registered_models (
        seq AUTOSEQ, name TEXT NOT NULL UNIQUE, created INTEGER NOT NULL, updated INTEGER NOT NULL,
        description TEXT NOT NULL)""",
    """CREATE TABLE registered_model_tags (
        model INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (model, key))""",
    "CREATE TABLE model_numbers (model TEXT PRIMARY KEY, last INTEGER NOT NULL)",
    """CREATE TABLE version_notes (
        seq AUTOSEQ, model TEXT NOT NULL, version INTEGER NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL,
        description TEXT NOT NULL, stage TEXT NOT NULL, source TEXT NOT NULL, run TEXT, run_link TEXT NOT NULL,
        logged_model TEXT NOT NULL, UNIQUE (model, version))""",
    "CREATE INDEX version_notes_run ON version_notes (run)",
    """CREATE TABLE version_tags (
        note INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (note, key))""",
)

_NOTES = "model, version, created, updated, description, stage, source, run, run_link, logged_model"
_KNOWN_SHOWN = 1000

# one statement each, and so one moment
_MODELS = """WITH page AS (SELECT * FROM registered_models WHERE {where})
    SELECT 'model', name, description, '', created, updated, seq FROM page
    UNION ALL SELECT 'tag', name, key, value, 0, 0, 0 FROM page JOIN registered_model_tags ON model = page.seq
    UNION ALL SELECT 'alias', name, alias, '', version, 0, 0 FROM page JOIN model_aliases ON model = name
    UNION ALL SELECT 'versions', name, '', '', COUNT(*), 0, 0
        FROM page JOIN version_notes ON model = name GROUP BY name"""
_VERSIONS = f"""WITH page AS (SELECT seq, {_NOTES} FROM version_notes WHERE {{where}})
    SELECT 'note', '', '', seq, {_NOTES} FROM page
    UNION ALL SELECT 'tag', key, value, seq, '', 0, 0, 0, '', '', '', '', '', ''
        FROM page JOIN version_tags ON note = seq
    UNION ALL SELECT 'alias', alias, '', seq, '', 0, 0, 0, '', '', '', '', '', ''
        FROM page JOIN model_aliases ON page.model = model_aliases.model AND page.version = model_aliases.version"""


def is_known(source: Readable, model: str) -> bool:
    """Say whether a name names a model."""
    return source.one("SELECT 1 FROM registered_models WHERE name = ?", (model,)) is not None


def check_known(source: Readable, model: str) -> None:
    """Refuse a name that names no model."""
    if not is_known(source, model):
        rows = source.query("SELECT name FROM registered_models ORDER BY name LIMIT ?", (_KNOWN_SHOWN,))
        raise unknown_name("model", model, (name for (name,) in rows))


def read_models(source: Readable, where: str, params: Sequence[Any]) -> dict[int, RegisteredModel]:
    """Return the models that fulfil a condition, by the number of their row."""
    found: dict[int, RegisteredModel] = {}
    parts: dict[tuple[str, str], dict[str, Any]] = {}
    for part, name, key, value, number, updated, seq in source.query(_MODELS.format(where=where), params):
        if part == "model":
            found[seq] = RegisteredModel(name, from_micros(number), from_micros(updated), key)
        else:
            parts.setdefault((part, name), {})[key] = value if part == "tag" else int(number)
    return {
        seq: msgspec.structs.replace(
            model,
            tags=parts.get(("tag", model.name), {}),
            aliases=dict(sorted(parts.get(("alias", model.name), {}).items())),
            versions=parts.get(("versions", model.name), {}).get("", 0),
        )
        for seq, model in found.items()
    }


def read_notes(source: Readable, where: str, params: Sequence[Any]) -> dict[int, VersionNotes]:
    """Return the notes that fulfil a condition, by the number of their row."""
    found: dict[int, VersionNotes] = {}
    parts: dict[tuple[str, int], dict[str, str]] = {}
    for part, key, value, seq, *fields in source.query(_VERSIONS.format(where=where), params):
        if part == "note":
            model, version, created, updated, description, stage, *rest = fields
            times = from_micros(created), from_micros(updated)
            found[seq] = VersionNotes(model, int(version), *times, description, stage, {}, (), *rest)
        else:
            parts.setdefault((part, seq), {})[key] = value
    return {
        seq: msgspec.structs.replace(
            note, tags=parts.get(("tag", seq), {}), aliases=tuple(sorted(parts.get(("alias", seq), {})))
        )
        for seq, note in found.items()
    }


def insert_model(tx: Transaction, name: str, description: str, tags: Mapping[str, str], *, now: datetime) -> None:
    """Name a model whose name is free."""
    row = tx.one(
        "INSERT INTO registered_models (name, created, updated, description) VALUES (?, ?, ?, ?) RETURNING seq",
        (name, to_micros(now), to_micros(now), description),
    )
    assert row is not None
    tx.insert("registered_model_tags (model, key, value)", [(row[0], *tag) for tag in tags.items()])


def touch(tx: Transaction, name: str, *, now: datetime) -> None:
    """Remember that a model changed."""
    tx.execute("UPDATE registered_models SET updated = ? WHERE name = ?", (to_micros(now), name))


def next_number(tx: Transaction, model: str) -> int:
    """Take the next number under a name; none is given twice, whatever was deleted."""
    row = tx.one(
        """INSERT INTO model_numbers (model, last) VALUES (?, 1)
           ON CONFLICT (model) DO UPDATE SET last = model_numbers.last + 1 RETURNING last""",
        (model,),
    )
    assert row is not None
    return int(row[0])


def insert_notes(tx: Transaction, notes: VersionNotes) -> None:
    """Write what is said of a new version."""
    row = tx.one(
        f"INSERT INTO version_notes ({_NOTES}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq",
        (
            notes.model,
            notes.version,
            to_micros(notes.created_at),
            to_micros(notes.updated_at),
            notes.description,
            notes.stage,
            notes.source,
            notes.run,
            notes.run_link,
            notes.logged_model,
        ),
    )
    assert row is not None
    tx.insert("version_tags (note, key, value)", [(row[0], *tag) for tag in notes.tags.items()])


def write_tags(
    tx: Transaction, table: str, owner: str, seq: int | str, *, before: Mapping[str, str], after: Mapping[str, str]
) -> None:
    """Bring the rows of some tags from one state to another."""
    tx.many(f"DELETE FROM {table} WHERE {owner} = ? AND key = ?", [(seq, key) for key in before.keys() - after.keys()])
    tx.insert(
        f"{table} ({owner}, key, value)",
        [(seq, *tag) for tag in after.items() if before.get(tag[0]) != tag[1]],
        then=f"ON CONFLICT ({owner}, key) DO UPDATE SET value = excluded.value",
    )
