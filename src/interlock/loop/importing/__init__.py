"""Bring runs and models of other trackers into a workspace: one module per foreign format, one writer for all."""
