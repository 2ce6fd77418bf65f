"""SQLite and PostgreSQL, by one set of statements and a dialect object."""
