"""Run work on a Ray cluster."""
