"""Runs MLflow's own tests against a server behind a URL, MLflow's and ours, and compares the outcomes."""
