"""The seven steps as plain calls, each output committed to SQLite in a transaction of its own."""

import pickle
import sqlite3
import sys

store = sqlite3.connect("floor.db", isolation_level=None)
store.execute("PRAGMA journal_mode = WAL")
store.execute("CREATE TABLE IF NOT EXISTS outputs (step TEXT, value BLOB)")


def kept(name, value):
    store.execute("INSERT INTO outputs VALUES (?, ?)", (name, pickle.dumps(value)))
    return value


count = int(sys.argv[1])
table = kept("prepare", [2 * value for value in kept("load", list(range(100)))])
models = [kept("train", sum(table) * alpha) for alpha in range(count)]
assert kept("select", max(models)) == 9900 * (count - 1)
