"""Give a test a PostgreSQL schema on the session's server: one of its own, or an emptied one."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

_counter = itertools.count()


@contextmanager
def fresh_schema(uri: str) -> Iterator[str]:
    """Yield the URI of a new, empty schema, and drop it afterwards."""
    schema = f"t{os.getpid()}_{next(_counter)}"
    with psycopg.connect(uri, autocommit=True) as admin:
        admin.execute(f'CREATE SCHEMA "{schema}"')
    try:
        yield f"{uri}{'&' if '?' in uri else '?'}options=-csearch_path%3D{schema}"
    finally:
        with psycopg.connect(uri, autocommit=True) as admin:
            admin.execute(f'DROP SCHEMA "{schema}" CASCADE')


def empty(uri: str) -> None:
    """Take every row out of a schema and let its sequences begin again: a tenth of the cost of a new schema."""
    with psycopg.connect(uri, autocommit=True) as admin:
        admin.execute("""
            DO $$ DECLARE name text; BEGIN
                FOR name IN SELECT tablename FROM pg_tables
                    WHERE schemaname = current_schema() AND tablename <> 'schema_versions'
                LOOP EXECUTE format('DELETE FROM %I', name); END LOOP;
                FOR name IN SELECT sequencename FROM pg_sequences WHERE schemaname = current_schema()
                LOOP PERFORM setval(quote_ident(name)::regclass, 1, false); END LOOP;
            END $$""")
