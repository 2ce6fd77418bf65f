"""Shared words of the whole package: ids, refs, errors, clock, hashing, schema, settings."""
