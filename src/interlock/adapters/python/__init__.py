"""Models that are Python functions, classes or objects."""
