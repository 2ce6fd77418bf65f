"""The kinds of models that can be registered, one file per kind."""
